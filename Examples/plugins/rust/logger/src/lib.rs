//! A logger: counts the records of a run, and says so in the host's log when the run is closed.

use martlet::{Failure, Logger};

struct CountLog {
    records: usize,
}

impl Logger for CountLog {
    fn open(_settings: &str) -> Result<Self, Failure> {
        Ok(CountLog { records: 0 })
    }

    fn event(&mut self, _record: &str) -> Result<(), Failure> {
        self.records += 1;
        Ok(())
    }
}

impl Drop for CountLog {
    fn drop(&mut self) {
        martlet::log("example.countlog", &format!("{} records", self.records));
    }
}

martlet::plugin!(
    "example.countlog", "0.1.0", "martlet.logger/1", "countlog", "Counts the records of a run",
    martlet::abi::LoggerTable = martlet::logger::<CountLog>()
);
