//! From text to a tree.

use std::sync::Arc;

use super::plain;
use crate::error::{DecodeError, Position};
use crate::limits::Limits;
use crate::names::Names;
use crate::value::{Number, Object, Shape, Value, number_scan};

/// How many shapes are remembered.
const SHAPES: usize = 32;

/// Reads one JSON document.
pub fn read(text: &str, limits: &Limits) -> Result<Value, DecodeError> {
    if text.len() > limits.size {
        return Err(DecodeError::TooLarge { bytes: text.len(), limit: limits.size });
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        left: limits.nodes,
        limits,
        names: Names::default(),
        shapes: [const { None }; SHAPES],
        scratch: String::new(),
    };
    reader.space();
    let mut whole = Vec::with_capacity(1);
    reader.value(limits.depth(), 0, &mut whole)?;
    reader.space();
    match reader.at == text.len() {
        true => Ok(whole.pop().unwrap_or_default()),
        false => Err(reader.wrong("something follows the document")),
    }
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// How many values may still come.
    left: usize,
    limits: &'t Limits,
    names: Names,
    /// What objects begin with, by the spot at which they stand: those of one list, or of one member, are mostly alike.
    shapes: [Option<Arc<Shape>>; SHAPES],
    /// Where a text with escapes is put together.
    scratch: String,
}

impl<'t> Reader<'t> {
    /// Reads a value to its place, which costs less than to hand it on. `spot` tells apart where in the tree it stands,
    /// but not which item of a list it is.
    fn value(&mut self, depth: usize, spot: usize, place: &mut Vec<Value>) -> Result<(), DecodeError> {
        if self.left == 0 {
            return Err(self.too_much("values", self.limits.nodes));
        }
        self.left -= 1;
        place.push(match self.bytes.get(self.at) {
            Some(b'"') => match self.string()? {
                Piece::Plain(text) => Value::text(text),
                Piece::Built => Value::text(self.scratch.as_str()),
            },
            Some(b'{') => self.object(depth, spot)?,
            Some(b'[') => self.list(depth, spot)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(_) => return Err(self.wrong("a value is missing here")),
            None => return Err(self.wrong("the document ends too early")),
        });
        Ok(())
    }

    fn object(&mut self, depth: usize, spot: usize) -> Result<Value, DecodeError> {
        let inner = self.enter(depth)?;
        if self.is_end(b'}') {
            return Ok(Value::Object(Object::default()));
        }
        let mut object = Object::like(self.shapes[spot % SHAPES].clone());
        loop {
            // Mostly it is the name that stood there in the last object of this kind.
            match object.next_written().filter(|next| self.bytes[self.at..].starts_with(next.as_bytes())) {
                Some(next) => self.at += next.len(),
                None => self.name(&mut object)?,
            }
            self.space();
            let below = spot.wrapping_mul(31).wrapping_add(object.len() + 1);
            self.value(inner, below, object.room())?;
            if self.is_last(b'}')? {
                self.learn(&object, spot);
                return Ok(Value::Object(object));
            }
        }
    }

    /// A name and its colon. Announces the name to its object.
    fn name(&mut self, object: &mut Object) -> Result<(), DecodeError> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.wrong("a name in quotes is missing here"));
        }
        let start = self.at;
        let name = match self.string()? {
            Piece::Plain(text) => text,
            Piece::Built => self.scratch.as_str(),
        };
        if !object.expects(name) && !object.announce(self.names.get(name)) {
            self.at = start;
            return Err(self.wrong("this name is there twice"));
        }
        self.space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.wrong("`:` is missing here"));
        }
        self.at += 1;
        Ok(())
    }

    /// Remembers what the next object at a spot begins with. That one may have fewer members, so the longer shape is kept.
    fn learn(&mut self, object: &Object, spot: usize) {
        let known = &mut self.shapes[spot % SHAPES];
        match (known.as_ref(), object.shape()) {
            (Some(known), Some(own)) if Arc::ptr_eq(known, own) || known.len() > own.len() => {}
            (_, own) => *known = own.cloned(),
        }
    }

    fn list(&mut self, depth: usize, spot: usize) -> Result<Value, DecodeError> {
        let inner = self.enter(depth)?;
        let mut list = Vec::new();
        if self.is_end(b']') {
            return Ok(Value::List(list));
        }
        loop {
            self.value(inner, spot, &mut list)?;
            if self.is_last(b']')? {
                return Ok(Value::List(list));
            }
        }
    }

    /// Past an opening bracket.
    fn enter(&mut self, depth: usize) -> Result<usize, DecodeError> {
        let inner =
            depth.checked_sub(1).ok_or_else(|| self.too_much("levels of nesting", self.limits.depth()))?;
        self.at += 1;
        self.space();
        Ok(inner)
    }

    fn is_end(&mut self, close: u8) -> bool {
        let end = self.bytes.get(self.at) == Some(&close);
        self.at += usize::from(end);
        end
    }

    /// Past a comma (false) or the closing bracket (true).
    fn is_last(&mut self, close: u8) -> Result<bool, DecodeError> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(false)
            }
            Some(sign) if *sign == close => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Err(self.wrong(format!("`,` or `{}` is missing here", char::from(close)))),
            None => Err(self.wrong("the document ends too early")),
        }
    }

    fn number(&mut self) -> Result<Value, DecodeError> {
        let length = number_scan(&self.bytes[self.at..]);
        if length == 0 {
            return Err(self.wrong("this is no number"));
        }
        let text = &self.text[self.at..self.at + length];
        self.at += length;
        if matches!(self.bytes.get(self.at), Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            return Err(self.wrong("this is no number"));
        }
        Ok(Value::Number(Number::checked(text)))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, DecodeError> {
        match self.bytes[self.at..].starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(value)
            }
            false => Err(self.wrong("a value is missing here")),
        }
    }

    /// A text, from its first quote to past its last.
    fn string(&mut self) -> Result<Piece<'t>, DecodeError> {
        let start = self.at + 1;
        let end = start + plain(&self.bytes[start..]);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Piece::Plain(&self.text[start..end]));
        }
        self.scratch.clear();
        self.at = start;
        loop {
            let end = self.at + plain(&self.bytes[self.at..]);
            self.scratch.push_str(&self.text[self.at..end]);
            self.at = end;
            match self.bytes.get(end) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Piece::Built);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.wrong("a control character stands in a text; escape it")),
                None => return Err(self.wrong("this text is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), DecodeError> {
        let sign = match self.bytes.get(self.at + 1) {
            Some(sign @ (b'"' | b'\\' | b'/')) => char::from(*sign),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code(),
            _ => return Err(self.wrong("there is no such escape")),
        };
        self.scratch.push(sign);
        self.at += 2;
        Ok(())
    }

    /// `\uXXXX`, or two of them for a character beyond the first 65536.
    fn code(&mut self) -> Result<(), DecodeError> {
        let first =
            self.unit(self.at).ok_or_else(|| self.wrong("four hexadecimal digits are missing here"))?;
        let mut length = 6;
        let mut code = u32::from(first);
        if (0xD800..0xDC00).contains(&first)
            && let Some(second) = self.unit(self.at + 6)
            && (0xDC00..0xE000).contains(&second)
        {
            code = 0x10000 + ((u32::from(first) - 0xD800) << 10) + (u32::from(second) - 0xDC00);
            length = 12;
        }
        let sign = char::from_u32(code).ok_or_else(|| self.wrong("half of a surrogate pair"))?;
        self.scratch.push(sign);
        self.at += length;
        Ok(())
    }

    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn wrong(&self, problem: impl Into<String>) -> DecodeError {
        DecodeError::malformed(Position::in_text(self.text, self.at), problem)
    }

    fn too_much(&self, what: &'static str, limit: usize) -> DecodeError {
        DecodeError::TooMuch { what, limit, at: Position::in_text(self.text, self.at) }
    }
}

/// A text that is read.
enum Piece<'t> {
    /// It stands in the document as it is.
    Plain(&'t str),
    /// It had escapes, and is in the scratch.
    Built,
}
