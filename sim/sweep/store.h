#pragma once
// Where a sweep's points are kept: one SQLite file, a row for each point that is done. What was
// committed stays, whatever happens to the process, the machine's power or the disk's space: a
// rollback journal, and synchronous=FULL (https://sqlite.org/atomiccommit.html).

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/sweep/spec.h"
#include "sim/sweep/sqlite.h"

namespace kpksim::sweep {

// A point that is done. Either it has totals, or an error.
struct Row {
  Point point = 0;
  std::string hash;    // of the configuration and all it stands for
  std::string config;  // the whole configuration, as JSON
  std::string totals;  // all totals, as JSON
  std::string error;   // why there are none

  bool failed() const { return !error.empty(); }
};

// What all rows of a store have in common. Rows of another sweep, of other profiles or workloads,
// or of another version of the program would not be of one experiment.
struct Identity {
  std::string name, spec, version;
  Point points = 0;
  // "core:neoverse-v1" -> the document's text, or what stands for it (a recording's hash).
  std::map<std::string, std::string> inputs;

  bool operator==(const Identity&) const = default;
};

struct Counts {
  Point done = 0, failed = 0;
};

class Store {
 public:
  // To write, by this process alone; a new file gets `identity`, another's is compared with it.
  // InputError: it is another sweep's, or another process writes to it. OutputError: the disk.
  static Store open(const std::string& path, const Identity& identity);
  // To read, also while another process writes.
  static Store read(const std::string& path);

  const Identity& identity() const { return identity_; }
  const std::string& path() const { return database_->path(); }

  // In one transaction. Rows whose points are there already take their place.
  void add(const std::vector<Row>& rows);
  // Failed points are missing again.
  void forget_failed();
  Counts counts();
  // Points that are done, from `first` on and less than `end`, in order.
  std::vector<Point> done(Point first, Point end);
  // All rows, in the order of points.
  void each(const std::function<void(const Row&)>& visit);

  // Adds what other stores of the same sweep have and this one has not, all of it or nothing. A
  // point that failed in one and not in another is taken from the other. InputError: another
  // sweep's, or different results for one point.
  void merge(const std::vector<std::string>& paths);
  // Points that are not there, as ranges of first and last, at most `most` of these.
  std::vector<std::pair<Point, Point>> missing(std::size_t most);

 private:
  class Lock;
  Store() = default;
  void read_identity();
  void write_identity(const Identity& identity);

  std::shared_ptr<Lock> lock_;  // outlives the database: closing it would drop SQLite's own locks
  std::unique_ptr<Database> database_;
  Identity identity_;
};

}  // namespace kpksim::sweep
