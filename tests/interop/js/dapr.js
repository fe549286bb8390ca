// An ordinary Dapr application: it serves an invocation, subscribes to a topic, and calls its sidecar for the rest.
// Each line of its output that begins with RESULT is checked by the test.
const { DaprServer, DaprClient, CommunicationProtocolEnum, HttpMethod } = require("@dapr/dapr");

const [sidecarPort, appPort] = process.argv.slice(2);
const result = (name, value) => console.log(`RESULT ${name} ${JSON.stringify(value)}`);
const options = {
  daprHost: "127.0.0.1",
  daprPort: sidecarPort,
  communicationProtocol: CommunicationProtocolEnum.HTTP,
};

async function main() {
  const server = new DaprServer({ serverHost: "127.0.0.1", serverPort: appPort, clientOptions: options });
  const seen = [];
  let allSeen;
  const all = new Promise((resolve) => (allSeen = resolve));
  await server.invoker.listen("double", async ({ body }) => ({ doubled: JSON.parse(body).n * 2 }), {
    method: HttpMethod.POST,
  });
  await server.pubsub.subscribe("pubsub", "orders", async (data) => {
    seen.push(data.n);
    if (seen.length === 4) allSeen();
  });
  await server.start();

  const client = new DaprClient(options);
  // The sidecar is ready once it has read what this application subscribes to.
  while ((await fetch(`http://127.0.0.1:${sidecarPort}/v1.0/healthz`)).status !== 204);
  result("publish", await client.pubsub.publish("pubsub", "orders", { n: 1 }));
  result("bulk", await client.pubsub.publishBulk("pubsub", "orders", [{ n: 2 }, { n: 3 }, { n: 4 }]));
  result("refused", await client.pubsub.publish("nowhere", "orders", { n: 5 }));
  await all;
  result("seen", seen.sort());
  result("invoke", await client.invoker.invoke("js-app", "double", HttpMethod.POST, { n: 21 }));
  result("set", await client.metadata.set("colour", "blue"));
  const metadata = await client.metadata.get();
  result("metadata", { id: metadata.id, colour: metadata.extended.colour, topic: metadata.subscriptions[0].topic });
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
