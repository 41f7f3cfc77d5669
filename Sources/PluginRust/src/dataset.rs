use crate::abi::{Bytes, DatasetTable, RawError, Sink, Str};
use crate::{abi, guarded, put, Document, Failure};
use std::ffi::c_void;

/// Why `next` gives no row.
pub enum Stop {
    /// This row cannot be given; reading goes on behind it.
    Damaged { cause: String, place: String, text: String },
    /// Reading ends here.
    Failure(Failure),
}

/// The rows of a file, one after the other (kinds/dataset.h). One thread at a time uses an instance.
pub trait Dataset: Sized + Send {
    /// How well this format reads the file: 0 = not at all, 100 = exactly its own. `head` holds its first bytes.
    fn probe(path: &str, head: &[u8]) -> i32;
    fn open(path: &str, options: &Document) -> Result<Self, Failure>;
    /// The text of the next row, one JSON object; None at the end.
    fn next(&mut self) -> Result<Option<String>, Stop>;
    /// A text that `seek` understands, for the row that `next` would give.
    fn cursor(&mut self) -> Result<String, Failure>;
    fn seek(&mut self, cursor: &str) -> Result<(), Failure>;
}

/// Bytes of a damaged row that go to the report.
const SHOWN: usize = 512;

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

/// The table of a data set format.
pub const fn dataset<D: Dataset>() -> DatasetTable {
    extern "C" fn probe<D: Dataset>(_: *mut c_void, path: Str, head: Bytes) -> i32 {
        let mut score = 0;
        guarded(std::ptr::null_mut(), || {
            score = D::probe(&path.text(), unsafe { crate::list(head.data as *const u8, head.size) });
            Ok(())
        });
        score
    }
    extern "C" fn open<D: Dataset>(_: *mut c_void, path: Str, options: Str, out: *mut *mut c_void, error: *mut RawError) -> i32 {
        guarded(error, || {
            let rows = D::open(&path.text(), &Document::settings(options)?)?;
            unsafe { *out = Box::into_raw(Box::new(rows)) as *mut c_void };
            Ok(())
        })
    }
    extern "C" fn next<D: Dataset>(_: *mut c_void, rows: *mut c_void, out: Sink, found: *mut bool, error: *mut RawError) -> i32 {
        guarded(error, || {
            unsafe { *found = false };
            match unsafe { &mut *(rows as *mut D) }.next() {
                Ok(None) => Ok(()),
                Ok(Some(row)) => {
                    put(out, &row)?;
                    unsafe { *found = true };
                    Ok(())
                }
                Err(Stop::Damaged { cause, place, text }) => {
                    let end = (0..=SHOWN.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
                    put(out, &text[..end])?;
                    Err(Failure::invalid(cause, place))
                }
                // INVALID means a row that is passed over; what ends the reading must not look like one.
                Err(Stop::Failure(failure)) if failure.status == abi::INVALID => Err(Failure { status: abi::ERROR, ..failure }),
                Err(Stop::Failure(failure)) => Err(failure),
            }
        })
    }
    extern "C" fn cursor<D: Dataset>(_: *mut c_void, rows: *mut c_void, out: Sink, error: *mut RawError) -> i32 {
        guarded(error, || put(out, &unsafe { &mut *(rows as *mut D) }.cursor()?))
    }
    extern "C" fn seek<D: Dataset>(_: *mut c_void, rows: *mut c_void, cursor: Str, error: *mut RawError) -> i32 {
        guarded(error, || unsafe { &mut *(rows as *mut D) }.seek(&cursor.text()))
    }
    extern "C" fn count(_: *mut c_void, _: *const c_void) -> i64 {
        -1
    }
    extern "C" fn close<D: Dataset>(_: *mut c_void, rows: *mut c_void) {
        guarded(std::ptr::null_mut(), || {
            drop(unsafe { Box::from_raw(rows as *mut D) });
            Ok(())
        });
    }
    DatasetTable {
        struct_size: std::mem::size_of::<DatasetTable>() as u32, reserved: 0, probe: probe::<D>, open: open::<D>,
        next: next::<D>, cursor: cursor::<D>, seek: seek::<D>, count, close: close::<D>,
    }
}
