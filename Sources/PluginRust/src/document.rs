use crate::{abi, ask, service, Failure};
use abi::{RawError, Str};
use std::ffi::c_void;

/// A JSON document, read by the host's config service. Paths are such as "rope_scaling.factor" or "messages[0].content".
pub struct Document {
    document: *mut c_void,
    config: &'static abi::Config,
}

impl Document {
    pub fn parse(text: Str) -> Result<Document, Failure> {
        let table = service("martlet.config/1") as *const abi::Config;
        let config = unsafe { table.as_ref() }.ok_or_else(|| Failure::unsupported("the host has no config service"))?;
        let mut document = std::ptr::null_mut();
        ask(|error| (config.parse)(config.ctx, text, &mut document, error))?;
        Ok(Document { document, config })
    }

    /// The same, where nothing stands for an object without members.
    pub(crate) fn settings(text: Str) -> Result<Document, Failure> {
        Document::parse(if text.is_empty() { Str::lend("{}") } else { text })
    }

    pub fn text(&self, path: &str) -> Result<String, Failure> {
        let mut bytes: Vec<u8> = Vec::new();
        let sink = abi::Sink { ctx: &mut bytes as *mut Vec<u8> as *mut c_void, write: append };
        ask(|error| (self.config.string)(self.config.ctx, self.document, Str::lend(path), sink, error))?;
        String::from_utf8(bytes).map_err(|_| Failure::invalid("the text is not UTF-8", path))
    }

    pub fn number(&self, path: &str) -> Result<f64, Failure> {
        let mut value = 0.0;
        ask(|error| (self.config.number)(self.config.ctx, self.document, Str::lend(path), &mut value, error))?;
        Ok(value)
    }

    pub fn integer(&self, path: &str) -> Result<i64, Failure> {
        let mut value = 0;
        ask(|error| (self.config.integer)(self.config.ctx, self.document, Str::lend(path), &mut value, error))?;
        Ok(value)
    }

    /// Elements of the array or members of the object at `path`.
    pub fn count(&self, path: &str) -> Result<usize, Failure> {
        let mut value = 0;
        ask(|error| (self.config.count)(self.config.ctx, self.document, Str::lend(path), &mut value, error))?;
        Ok(value)
    }

    /// The texts of the array at `path`.
    pub fn texts(&self, path: &str) -> Result<Vec<String>, Failure> {
        (0..self.count(path)?).map(|i| self.text(&format!("{path}[{i}]"))).collect()
    }

    pub fn flag(&self, path: &str) -> Result<bool, Failure> {
        let mut value = false;
        ask(|error| (self.config.boolean)(self.config.ctx, self.document, Str::lend(path), &mut value, error))?;
        Ok(value)
    }
}

/// For values that need not be there.
pub trait Fallback<T> {
    /// `value` where the path is absent or null.
    fn or_default(self, value: T) -> Result<T, Failure>;
}

impl<T> Fallback<T> for Result<T, Failure> {
    fn or_default(self, value: T) -> Result<T, Failure> {
        match self {
            Err(failure) if failure.status == abi::NOT_FOUND => Ok(value),
            other => other,
        }
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        (self.config.close)(self.config.ctx, self.document)
    }
}

extern "C" fn append(to: *mut c_void, data: *const c_void, size: usize, _: *mut RawError) -> i32 {
    if size > 0 {
        let bytes = unsafe { &mut *(to as *mut Vec<u8>) };
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(data as *const u8, size) });
    }
    abi::OK
}

/// `value` as a JSON string.
pub fn text(value: &str) -> String {
    let mut json = String::with_capacity(value.len() + 2);
    json.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..='\u{1F}' => json.push_str(&format!("\\u{:04x}", character as u32)),
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}
