#pragma once
// As much of SQLite as a store of points needs, with errors as exceptions: OutputError for what the
// disk refuses, InputError for a file that is no database.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace kpksim::sweep {

class Database;

// A prepared statement. Parameters count from 1, columns from 0.
class Statement {
 public:
  Statement(Database& database, const std::string& sql);

  Statement& bind(int parameter, std::uint64_t value);
  Statement& bind(int parameter, std::string_view value);  // which lives until step()
  Statement& bind_null(int parameter);

  // The next row; false: there is none, and the statement can be bound and run again.
  bool step();
  // Runs it for its effect.
  void run();

  std::uint64_t number(int column) const;
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  enum class Mode : std::uint8_t { kRead, kWrite };
  // Opens `path`; to write, makes it if it is not there.
  Database(std::string path, Mode mode);

  void execute(const std::string& sql);
  const std::string& path() const { return path_; }
  // How many rows the last statement changed.
  std::uint64_t changes() const;

  // What went wrong with the last call, by its code.
  [[noreturn]] void fail(int code);

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace kpksim::sweep
