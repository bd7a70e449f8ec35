#include "sim/sweep/store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <queue>

#include "sim/base/error.h"
#include "sim/base/output_file.h"

namespace kpksim::sweep {
namespace {

constexpr const char* kFormat = "1";
constexpr const char* kTables = R"(
  CREATE TABLE identity(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE input(name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE point(id INTEGER PRIMARY KEY, hash TEXT NOT NULL, version TEXT NOT NULL,
                     config TEXT NOT NULL, totals TEXT, error TEXT);
)";

constexpr const char* kAllRows = "SELECT id, hash, config, totals, error FROM point ORDER BY id";

Row row_of(const Statement& at) {
  return {at.number(0), at.text(1), at.text(2), at.text(3), at.text(4)};
}

}  // namespace

// One byte of the file, far behind all that SQLite locks itself, for as long as the process lives:
// the kernel drops it with the process, however it ends. (A lock file would stay.)
class Store::Lock {
 public:
  explicit Lock(const std::string& path)
      : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (file_ < 0) {
      throw OutputError(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
    }
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = off_t{1} << 60;
    lock.l_len = 1;
    if (fcntl(file_, F_OFD_SETLK, &lock) == 0) return;
    const int error = errno;
    ::close(file_);
    if (error == EAGAIN || error == EACCES) {
      throw InputError(fmt::format(
          "{}: another process works on this store; give each its own (--shard), and merge them",
          path));
    }
    throw OutputError(fmt::format("{}: cannot be locked: {}", path, std::strerror(error)));
  }
  ~Lock() { ::close(file_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int file_;
};

namespace {

// What makes `other` another sweep than `identity`, for a message; nothing if they are the same.
std::optional<std::string> difference(const Identity& identity, const Identity& other) {
  if (identity.spec != other.spec) {
    return fmt::format("it is of sweep '{}', whose specification is another one", other.name);
  }
  if (identity.version != other.version) {
    return fmt::format("it was made by version {} of kpksim, this is {}", other.version,
                       identity.version);
  }
  for (const auto& [name, text] : identity.inputs) {
    const auto it = other.inputs.find(name);
    if (it == other.inputs.end() || it->second != text) {
      return fmt::format("'{}' is not what it was for the points that are done", name);
    }
  }
  for (const auto& [name, text] : other.inputs) {
    if (!identity.inputs.contains(name)) {
      return fmt::format("the points that are done have '{}', which is not given now", name);
    }
  }
  if (identity.points != other.points) return "it has other points";
  return std::nullopt;
}

}  // namespace

Store Store::open(const std::string& path, const Identity& identity) {
  Store store;
  store.lock_ = std::make_shared<Lock>(path);
  store.database_ = std::make_unique<Database>(path, Database::Mode::kWrite);
  Database& db = *store.database_;
  db.execute(
      "PRAGMA page_size=16384;"  // of a new file: three rows or so
      "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384;");
  Statement tables(db, "SELECT count(*) FROM sqlite_schema");
  tables.step();
  const bool is_new = tables.number(0) == 0;
  tables.step();
  if (is_new) {
    store.write_identity(identity);
  } else {
    store.read_identity();
    if (const auto why = difference(identity, store.identity_)) {
      throw InputError(fmt::format("{}: not a store of this sweep: {}; another --store starts anew",
                                   path, *why));
    }
  }
  return store;
}

Store Store::read(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::exists(path, none)) {
    throw InputError(fmt::format("{}: there is no such store", path));
  }
  Store store;
  store.database_ = std::make_unique<Database>(path, Database::Mode::kRead);
  store.read_identity();
  return store;
}

void Store::write_identity(const Identity& identity) {
  Database& db = *database_;
  db.execute("BEGIN IMMEDIATE");
  db.execute(kTables);
  Statement set(db, "INSERT INTO identity VALUES(?, ?)");
  const std::string points = fmt::format("{}", identity.points);
  const std::pair<const char*, const std::string&> values[] = {{"name", identity.name},
                                                               {"spec", identity.spec},
                                                               {"version", identity.version},
                                                               {"points", points}};
  set.bind(1, "format").bind(2, kFormat).run();
  for (const auto& [key, value] : values) set.bind(1, key).bind(2, value).run();
  Statement input(db, "INSERT INTO input VALUES(?, ?)");
  for (const auto& [name, text] : identity.inputs) input.bind(1, name).bind(2, text).run();
  db.execute("COMMIT");
  identity_ = identity;
}

void Store::read_identity() {
  Database& db = *database_;
  std::map<std::string, std::string> values;
  Statement get(db, "SELECT key, value FROM identity");
  while (get.step()) values[get.text(0)] = get.text(1);
  if (values["format"] != kFormat) {
    throw InputError(fmt::format("{}: a store of format '{}'; expected {}", db.path(),
                                 values["format"], kFormat));
  }
  identity_ = {
      values["name"], values["spec"], values["version"], std::stoull(values["points"]), {}};
  Statement input(db, "SELECT name, text FROM input");
  while (input.step()) identity_.inputs[input.text(0)] = input.text(1);
}

namespace {

// Rows in one transaction, which is taken back unless it is committed.
class Writer {
 public:
  Writer(Database& database, const std::string& version) : database_(database), version_(version) {
    database.execute("BEGIN IMMEDIATE");
    put_ = std::make_unique<Statement>(database,
                                       "INSERT OR REPLACE INTO point VALUES(?, ?, ?, ?, ?, ?)");
  }
  ~Writer() {
    put_.reset();
    if (committed_) return;
    try {
      database_.execute("ROLLBACK");
    } catch (const std::runtime_error&) {  // SQLite has done so itself, or does when it is opened
    }
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void put(const Row& row) {
    Statement& put = *put_;
    put.bind(1, row.point).bind(2, row.hash).bind(3, version_).bind(4, row.config);
    row.failed() ? put.bind_null(5).bind(6, row.error) : put.bind(5, row.totals).bind_null(6);
    put.run();
  }
  void commit() {
    database_.execute("COMMIT");
    committed_ = true;
  }

 private:
  Database& database_;
  const std::string& version_;
  std::unique_ptr<Statement> put_;
  bool committed_ = false;
};

}  // namespace

void Store::add(const std::vector<Row>& rows) {
  Writer writer(*database_, identity_.version);
  for (const Row& row : rows) writer.put(row);
  writer.commit();
}

void Store::forget_failed() { database_->execute("DELETE FROM point WHERE error IS NOT NULL"); }

Counts Store::counts() {
  Statement count(*database_, "SELECT count(*), count(error) FROM point");
  count.step();
  return {count.number(0), count.number(1)};
}

std::vector<Point> Store::done(Point first, Point end) {
  Statement get(*database_, "SELECT id FROM point WHERE id >= ? AND id < ? ORDER BY id");
  get.bind(1, first).bind(2, end);
  std::vector<Point> out;
  while (get.step()) out.push_back(get.number(0));
  return out;
}

void Store::each(const std::function<void(const Row&)>& visit) {
  Statement get(*database_, kAllRows);
  while (get.step()) visit(row_of(get));
}

namespace {

// One of the stores that are merged, and the row that it is at.
struct Cursor {
  Cursor(std::string path, const Identity& identity, const std::string& into) {
    const Store store = Store::read(path);
    if (const auto why = difference(identity, store.identity())) {
      throw InputError(fmt::format("{}: cannot be merged into {}: {}", path, into, *why));
    }
    database = std::make_unique<Database>(std::move(path), Database::Mode::kRead);
    rows = std::make_unique<Statement>(*database, kAllRows);
    next();
  }
  void next() {
    there = rows->step();
    if (there) row = row_of(*rows);
  }

  std::unique_ptr<Database> database;
  std::unique_ptr<Statement> rows;
  Row row;
  bool there = false;
};

// Which of two rows for one point is kept.
bool is_better(const Row& row, const Row& than, const std::string& path) {
  if (!row.failed() && !than.failed() && (row.hash != than.hash || row.totals != than.totals)) {
    throw InputError(
        fmt::format("{}: point {} has another result than in another store", path, row.point));
  }
  return than.failed() && !row.failed();
}

}  // namespace

// In the order of points, from all stores at once: rows are put one behind the other. (Store by
// store, each would be put between those of the stores before, and split their pages.)
void Store::merge(const std::vector<std::string>& paths) {
  std::vector<Cursor> cursors;
  cursors.reserve(paths.size());
  for (const std::string& one : paths) cursors.emplace_back(one, identity_, path());
  std::priority_queue<std::pair<Point, std::size_t>, std::vector<std::pair<Point, std::size_t>>,
                      std::greater<>>
      order;
  for (std::size_t i = 0; i < cursors.size(); ++i) {
    if (cursors[i].there) order.emplace(cursors[i].row.point, i);
  }
  const bool is_empty = counts().done == 0;
  Statement own(*database_, "SELECT id, hash, config, totals, error FROM point WHERE id = ?");
  Writer writer(*database_, identity_.version);
  while (!order.empty()) {
    const Point point = order.top().first;
    std::optional<Row> kept;
    bool is_new = true;
    if (!is_empty && own.bind(1, point).step()) {
      kept = row_of(own);
      is_new = false;
      own.run();
    }
    while (!order.empty() && order.top().first == point) {
      Cursor& from = cursors[order.top().second];
      if (!kept || is_better(from.row, *kept, from.database->path())) {
        kept = std::move(from.row);
        is_new = true;
      }
      const std::size_t i = order.top().second;
      order.pop();
      from.next();
      if (from.there) order.emplace(from.row.point, i);
    }
    if (is_new) writer.put(*kept);
  }
  writer.commit();
}

std::vector<std::pair<Point, Point>> Store::missing(std::size_t most) {
  std::vector<std::pair<Point, Point>> out;
  Point next = 0;
  Statement get(*database_, "SELECT id FROM point ORDER BY id");
  while (out.size() < most && get.step()) {
    const Point id = get.number(0);
    if (id > next) out.emplace_back(next, id - 1);
    next = id + 1;
  }
  if (out.size() < most && next < identity_.points) out.emplace_back(next, identity_.points - 1);
  return out;
}

}  // namespace kpksim::sweep
