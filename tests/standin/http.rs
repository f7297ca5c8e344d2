//! HTTP/1.1 as far as a model provider's client needs it, one request a connection. By hand and not
//! by a crate: a fault is a socket that ends or stops in the wrong place, which a crate prevents.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A head that is longer is no request of ours.
const HEAD_MAX: u64 = 64 * 1024;
/// A body that is longer is no request of ours.
const BODY_MAX: u64 = 32 * 1024 * 1024;

/// A request, whole.
#[derive(Debug)]
pub(super) struct Incoming {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// After `?`, or nothing.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Incoming {
    /// A header by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads one request; nothing where the client has closed without one.
pub(super) fn read(stream: &TcpStream) -> io::Result<Option<Incoming>> {
    let mut reader = BufReader::new(stream);
    let mut head = (&mut reader).take(HEAD_MAX);
    let mut first = String::new();
    if head.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_ascii_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(bad("no request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut incoming = Incoming {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(bad("the head does not end, or is too long"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
        incoming.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if incoming.header("expect").is_some() {
        let mut answer: &TcpStream = stream;
        answer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let chunked = incoming.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    incoming.body = if chunked {
        read_chunks(&mut reader)?
    } else {
        let length = incoming.header("content-length").map_or(Ok(0), str::parse);
        read_exactly(&mut reader, length.map_err(|_| bad("a length that is no number"))?)?
    };
    Ok(Some(incoming))
}

fn read_exactly(reader: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    if length > BODY_MAX {
        return Err(bad("the body is too long"));
    }
    let mut body = Vec::new();
    let read = reader.take(length).read_to_end(&mut body)?;
    if u64::try_from(read).is_ok_and(|read| read == length) { Ok(body) } else { Err(bad("the body is cut")) }
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.take(HEAD_MAX).read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("a chunk without a size"))?;
        if u64::try_from(body.len()).is_ok_and(|known| known.saturating_add(size) > BODY_MAX) {
            return Err(bad("the body is too long"));
        }
        body.extend(read_exactly(reader, size)?);
        // The end of the line after a chunk; trailers do not occur.
        read_exactly(reader, 2)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

/// A whole answer in JSON; `headers` follow the usual ones.
pub(super) fn answer(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<()> {
    let mut text = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
        reason(status),
        body.len()
    );
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes())
}

/// An answer of unknown length, in chunks: a client can tell its end from a connection that broke.
pub(super) struct Chunks<'a> {
    stream: &'a TcpStream,
}

impl<'a> Chunks<'a> {
    /// Writes the head.
    pub(super) fn begin(mut stream: &'a TcpStream, content_type: &str) -> io::Result<Self> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncache-control: no-cache\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        Ok(Self { stream })
    }

    /// Writes one chunk, which is not empty.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
    }

    /// Writes the end.
    pub(super) fn end(self) -> io::Result<()> {
        let mut stream = self.stream;
        stream.write_all(b"0\r\n\r\n")
    }
}
