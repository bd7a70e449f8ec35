#include "sim/sweep/sqlite.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include "sim/base/error.h"
#include "sim/base/output_file.h"

namespace kpksim::sweep {
namespace {

constexpr int kWaitMilliseconds = 60'000;  // for another process's commit

}  // namespace

void Database::Close::operator()(sqlite3* database) const { sqlite3_close(database); }
void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Database::Database(std::string path, Mode mode) : path_(std::move(path)) {
  sqlite3* database = nullptr;
  // A reader may write, too, if it is allowed to: what a killed process left half written is taken
  // back by the next one that opens the file.
  const int flags = SQLITE_OPEN_READWRITE | (mode == Mode::kWrite ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path_.c_str(), &database, flags, nullptr);
  database_.reset(database);
  if (code != SQLITE_OK) {
    const std::string what = fmt::format("{}: cannot be opened: {}", path_, sqlite3_errstr(code));
    if (mode == Mode::kRead) throw InputError(what);
    throw OutputError(what);
  }
  sqlite3_busy_timeout(database, kWaitMilliseconds);
  if (mode == Mode::kRead) execute("PRAGMA query_only=1");
}

void Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

std::uint64_t Database::changes() const {
  return static_cast<std::uint64_t>(sqlite3_changes64(database_.get()));
}

void Database::fail(int code) {
  const char* const what = sqlite3_errmsg(database_.get());
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_ERROR:  // another file's tables
      throw InputError(fmt::format("{}: no store of kpksim sweep: {}", path_, what));
    default:
      throw OutputError(fmt::format("{}: {}", path_, what));
  }
}

Statement::Statement(Database& database, const std::string& sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database.database_.get(), sql.c_str(), -1, &statement, nullptr);
  statement_.reset(statement);
  if (code != SQLITE_OK) database.fail(code);
}

Statement& Statement::bind(int parameter, std::uint64_t value) {
  sqlite3_bind_int64(statement_.get(), parameter, static_cast<sqlite3_int64>(value));
  return *this;
}
Statement& Statement::bind(int parameter, std::string_view value) {
  sqlite3_bind_text64(statement_.get(), parameter, value.data(), value.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind_null(int parameter) {
  sqlite3_bind_null(statement_.get(), parameter);
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  const int reset = sqlite3_reset(statement_.get());
  if (code != SQLITE_DONE) database_.fail(reset == SQLITE_OK ? code : reset);
  return false;
}
void Statement::run() {
  while (step()) {
  }
}

std::uint64_t Statement::number(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
}
std::string Statement::text(int column) const {
  const auto* text = sqlite3_column_text(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return text == nullptr
             ? std::string()
             : std::string(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

}  // namespace kpksim::sweep
