//! Why a message is refused.

/// A message that is not read, and why. The text is safe to show to whoever sent the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A line ended in LF alone.
    #[error("a line ends in a line feed without a carriage return")]
    BareLineFeed,
    /// A header line that continues the one before it.
    #[error("a header is folded over two lines")]
    Folded,
    /// Anything else that is no HTTP/1 head.
    #[error("the head is no HTTP/1.1")]
    Malformed,
    /// A version that is neither 1.0 nor 1.1.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    /// A method with lower-case letters.
    #[error("the method has lower-case letters")]
    Method,
    /// More bytes of head than the limit.
    #[error("the head is larger than the limit")]
    HeadTooLarge,
    /// More headers than the limit.
    #[error("there are more headers than the limit")]
    TooManyHeaders,
    /// HTTP/1.1 without `Host`.
    #[error("the Host header is missing")]
    HostMissing,
    /// Two `Host` headers.
    #[error("the Host header is given twice")]
    HostTwice,
    /// A `Host` that is no host.
    #[error("the Host header names no host")]
    HostMalformed,
    /// An absolute target that names another host than `Host` does.
    #[error("the request target and the Host header name different hosts")]
    HostMismatch,
    /// A target that is neither a path nor an absolute `http` URL.
    #[error("the request target is not a path")]
    Target,
    /// A path with an escape that is none, an encoded NUL, or one that climbs above its root.
    #[error("the path has a bad escape or leaves its root")]
    Path,
    /// A repeated slash where the policy refuses it.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A `Content-Length` that is no plain decimal number of 64 bits.
    #[error("Content-Length is not a plain number")]
    LengthMalformed,
    /// More than one `Content-Length`.
    #[error("Content-Length is given twice")]
    LengthTwice,
    /// Both kinds of framing.
    #[error("Content-Length and Transfer-Encoding are both given")]
    LengthWithEncoding,
    /// A `Transfer-Encoding` other than `chunked`.
    #[error("the only transfer encoding spoken here is `chunked`")]
    Encoding,
    /// `Transfer-Encoding` in HTTP/1.0, which does not know it.
    #[error("Transfer-Encoding does not exist in HTTP/1.0")]
    EncodingInOldVersion,
    /// An `Expect` other than `100-continue`.
    #[error("the only expectation met here is `100-continue`")]
    Expectation,
    /// A chunk whose size is no hexadecimal number, or too large.
    #[error("a chunk's size is malformed")]
    ChunkSize,
    /// A chunk extension with control characters or beyond its limit.
    #[error("a chunk extension is malformed")]
    ChunkExtension,
    /// A chunk without its line end, or one that ends in LF alone.
    #[error("a chunk does not end where it should")]
    ChunkEnd,
    /// Trailers that are malformed or beyond their limit.
    #[error("the trailers are malformed or too large")]
    Trailers,
    /// More body than the limit.
    #[error("the body is larger than the limit")]
    BodyTooLarge,
    /// The connection closed inside a message.
    #[error("the connection closed in the middle of a message")]
    Truncated,
    /// A header of one HTTP/1 connection in a stream of HTTP/2.
    #[error("a header that belongs to a connection stands in a stream")]
    OfConnection,
    /// The head took too long.
    #[error("the head did not come in time")]
    TooSlow,
    /// The body came too slowly.
    #[error("the body came too slowly")]
    BodyTooSlow,
    /// `Upgrade` or `CONNECT`.
    #[error("changing the protocol is not supported")]
    Upgrade,
}

impl Refusal {
    /// The status with which a request is refused. (A response that is refused makes a 502.)
    pub fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::BodyTooLarge => 413,
            Self::TooSlow | Self::BodyTooSlow => 408,
            Self::Expectation => 417,
            Self::Upgrade => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}
