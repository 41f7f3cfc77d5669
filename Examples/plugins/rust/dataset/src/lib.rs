//! Rows of `name: value` lines, with a blank line behind each:
//!
//!     query: What bird is it?
//!     response: A martlet.
//!
//! gives {"query": "What bird is it?", "response": "A martlet."}. A line that starts with a space goes on with the value
//! before it. A row with any other line is damaged.

use martlet::{abi, text, Dataset, Document, Failure, Stop};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// Bytes of the longest row that is read.
const LONGEST: usize = 1 << 26;

struct Stanzas {
    path: String,
    file: BufReader<File>,
    /// Where the next line starts, and how many are before it.
    place: u64,
    line: u64,
}

impl Stanzas {
    fn failure(&self, error: std::io::Error) -> Failure {
        Failure { status: abi::IO, message: error.to_string(), place: self.path.clone() }
    }

    /// The next line without its end; None at the end of the file.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(LONGEST as u64).read_until(b'\n', &mut bytes);
        let count = read.map_err(|error| self.failure(error))?;
        if count == 0 {
            return Ok(None);
        }
        (self.place, self.line) = (self.place + count as u64, self.line + 1);
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        Ok(Some(bytes))
    }

    /// The lines up to the next blank one, and the number of the first.
    fn read_stanza(&mut self) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        let (mut first, mut stanza) = (0, Vec::new());
        while let Some(line) = self.read_line()? {
            if line.is_empty() && !stanza.is_empty() {
                break;
            }
            if line.is_empty() {
                continue;
            }
            if stanza.is_empty() {
                first = self.line;
            } else {
                stanza.push(b'\n');
            }
            stanza.extend(line);
            if stanza.len() >= LONGEST {
                break;
            }
        }
        Ok(if stanza.is_empty() { None } else { Some((first, stanza)) })
    }
}

/// The row of a stanza, or what is wrong with it.
fn row(stanza: &str) -> Result<String, String> {
    let mut members: Vec<(String, String)> = Vec::new();
    for line in stanza.split('\n') {
        if let (Some(rest), Some((_, value))) = (line.strip_prefix(' '), members.last_mut()) {
            value.push('\n');
            value.push_str(rest);
            continue;
        }
        let (name, value) = line.split_once(": ").ok_or("found a line without \"name: \"")?;
        if members.iter().any(|(known, _)| known == name) {
            return Err(format!("found {name} twice"));
        }
        members.push((name.into(), value.into()));
    }
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
    Ok(format!("{{{}}}", members.join(", ")))
}

impl Dataset for Stanzas {
    fn probe(path: &str, _head: &[u8]) -> i32 {
        if path.ends_with(".stanzas") { 100 } else { 0 }
    }

    fn open(path: &str, _options: &Document) -> Result<Self, Failure> {
        match File::open(path) {
            Ok(file) => Ok(Stanzas { path: path.into(), file: BufReader::new(file), place: 0, line: 0 }),
            Err(error) => Err(Failure { status: abi::IO, message: error.to_string(), place: path.into() }),
        }
    }

    fn next(&mut self) -> Result<Option<String>, Stop> {
        let (first, bytes) = match self.read_stanza()? {
            Some(stanza) => stanza,
            None => return Ok(None),
        };
        let stanza = String::from_utf8_lossy(&bytes);
        let outcome = match &stanza {
            _ if bytes.len() >= LONGEST => Err(format!("found a row of {} bytes or more", LONGEST)),
            std::borrow::Cow::Owned(_) => Err("is not UTF-8".into()),
            std::borrow::Cow::Borrowed(stanza) => row(stanza),
        };
        outcome.map(Some).map_err(|cause| Stop::Damaged { cause, place: format!("line {first}"), text: stanza.into_owned() })
    }

    fn cursor(&mut self) -> Result<String, Failure> {
        Ok(format!("{} {}", self.place, self.line))
    }

    fn seek(&mut self, cursor: &str) -> Result<(), Failure> {
        let numbers = cursor.split_once(' ').and_then(|(place, line)| Some((place.parse().ok()?, line.parse().ok()?)));
        (self.place, self.line) = numbers.ok_or_else(|| Failure::invalid("this is no cursor of such a file", "cursor"))?;
        self.file.seek(SeekFrom::Start(self.place)).map(|_| ()).map_err(|error| self.failure(error))
    }
}

martlet::plugin!(
    "example.stanzas", "0.1.0", "martlet.dataset/1", "stanzas", "Rows of name: value lines, with a blank line behind each",
    martlet::abi::DatasetTable = martlet::dataset::<Stanzas>()
);
