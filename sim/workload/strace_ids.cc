#include "sim/workload/strace_ids.h"

namespace kpksim::workload {
namespace {

constexpr std::uint32_t kAsItIs = ~0u;  // -1

std::uint32_t id_of(const StraceLine& line, std::size_t argument) {
  return static_cast<std::uint32_t>(line.argument(argument));
}

}  // namespace

// As long as no call says otherwise the three are one.
void StraceIds::show(Ids& ids, std::optional<Id>& which, Id id) {
  which = id;
  for (std::optional<Id>* other : {&ids.real, &ids.effective, &ids.saved}) {
    if (!*other) *other = id;
  }
}

bool StraceIds::set_all(Ids& ids, const StraceLine& line) {
  bool same = true;
  std::size_t argument = 0;
  for (std::optional<Id>* id : {&ids.real, &ids.effective, &ids.saved}) {
    const Id to = id_of(line, argument++);
    if (to == kAsItIs) continue;
    same = same && *id == to;
    *id = to;
  }
  return same;
}

// setuid(): all three, where the task may.
void StraceIds::set(Ids& ids, const StraceLine& line) {
  const Id to = id_of(line, 0);
  if (ids.effective == 0u) ids.real = ids.saved = to;
  ids.effective = to;
}

// setreuid()
void StraceIds::set_two(Ids& ids, const StraceLine& line) {
  const Id real = id_of(line, 0), effective = id_of(line, 1);
  const bool saves = real != kAsItIs || (effective != kAsItIs && ids.real != effective);
  if (real != kAsItIs) ids.real = real;
  if (effective != kAsItIs) ids.effective = effective;
  if (saves) ids.saved = ids.effective;
}

bool StraceIds::call(const StraceLine& line) {
  if (line.failed || line.name.size() < 6) return false;
  const bool group = line.name.find("gid") != std::string::npos;
  Ids& ids = group ? groups_ : users_;
  const std::string_view name = line.name;
  if (name == "getuid" || name == "getgid") {
    show(ids, ids.real, static_cast<Id>(line.value()));
  } else if (name == "geteuid" || name == "getegid") {
    show(ids, ids.effective, static_cast<Id>(line.value()));
  } else if (name == "setuid" || name == "setgid") {
    set(ids, line);
  } else if (name == "setreuid" || name == "setregid") {
    set_two(ids, line);
  } else if (name == "setresuid" || name == "setresgid") {
    return set_all(ids, line);
  } else if (name == "setfsuid" || name == "setfsgid") {
    ids = {};  // the effective one would have to be that too
  } else if (name == "execve" || name == "execveat") {
    users_.saved = users_.effective;
    groups_.saved = groups_.effective;
  }
  return false;
}

}  // namespace kpksim::workload
