//! The rules of RFC 9111, section by section.
