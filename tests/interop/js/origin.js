// Node's own server that remembers what it was asked, as origin.py does: `origin.js PORT`.
const http = require("node:http");

let seen = [];

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    let text = "ok";
    if (request.url === "/-/log") {
      text = JSON.stringify(seen);
      seen = [];
    } else {
      seen.push([request.method, request.url, Buffer.concat(pieces).toString("hex")]);
    }
    response.writeHead(200, { "content-type": "text/plain", "content-length": Buffer.byteLength(text) });
    response.end(text);
  });
});
server.keepAliveTimeout = 30000;
server.listen(Number(process.argv[2]), "127.0.0.1");
