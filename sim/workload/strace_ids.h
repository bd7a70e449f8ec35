#pragma once
// Which users and groups a task of a trace is, as far as its calls show it. setresuid() and
// setresgid() that would change nothing make no new credentials (kernel/sys.c); setuid() and the
// others do.

#include <cstdint>
#include <optional>

#include "sim/workload/strace_line.h"

namespace kpksim::workload {

class StraceIds {
 public:
  // A call of the task. True: it has asked for what the task is already.
  bool call(const StraceLine& line);

 private:
  using Id = std::uint32_t;
  struct Ids {
    std::optional<Id> real, effective, saved;
  };
  static void show(Ids& ids, std::optional<Id>& which, Id id);
  static bool set_all(Ids& ids, const StraceLine& line);
  static void set(Ids& ids, const StraceLine& line);
  static void set_two(Ids& ids, const StraceLine& line);

  Ids users_, groups_;
};

}  // namespace kpksim::workload
