// Which kind of call a line of a trace is, as far as that decides how long the kernel is at it.

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

using kernel::Call;
using kernel::CallKind;

// What no table has is a look-up if it names a path, else nothing but entry and exit.
CallKind named(std::string_view call) {
  static const std::unordered_map<std::string_view, CallKind> kKinds = {
      {"close", CallKind::kSmall},
      {"dup", CallKind::kSmall},
      {"dup2", CallKind::kSmall},
      {"dup3", CallKind::kSmall},
      {"fcntl", CallKind::kSmall},
      {"fcntl64", CallKind::kSmall},
      {"ioctl", CallKind::kSmall},
      {"lseek", CallKind::kSmall},
      {"_llseek", CallKind::kSmall},
      {"rt_sigaction", CallKind::kSmall},
      {"rt_sigprocmask", CallKind::kSignalMask},
      {"stat", CallKind::kStat},
      {"lstat", CallKind::kStat},
      {"fstat", CallKind::kStat},
      {"stat64", CallKind::kStat},
      {"lstat64", CallKind::kStat},
      {"fstat64", CallKind::kStat},
      {"newfstatat", CallKind::kStat},
      {"fstatat64", CallKind::kStat},
      {"statx", CallKind::kStat},
      {"open", CallKind::kOpen},
      {"openat", CallKind::kOpen},
      {"openat2", CallKind::kOpen},
      {"creat", CallKind::kOpen},
      {"read", CallKind::kRead},
      {"pread64", CallKind::kRead},
      {"readv", CallKind::kRead},
      {"preadv", CallKind::kRead},
      {"preadv2", CallKind::kRead},
      {"getdents64", CallKind::kRead},
      {"write", CallKind::kWrite},
      {"pwrite64", CallKind::kWrite},
      {"writev", CallKind::kWrite},
      {"pwritev", CallKind::kWrite},
      {"pwritev2", CallKind::kWrite},
      {"copy_file_range", CallKind::kWrite},
      {"pipe", CallKind::kPipe},
      {"pipe2", CallKind::kPipe},
      {"send", CallKind::kSocketData},
      {"sendto", CallKind::kSocketData},
      {"sendmsg", CallKind::kSocketData},
      {"recv", CallKind::kSocketData},
      {"recvfrom", CallKind::kSocketData},
      {"recvmsg", CallKind::kSocketData},
      {"poll", CallKind::kPoll},
      {"ppoll", CallKind::kPoll},
      {"select", CallKind::kPoll},
      {"pselect6", CallKind::kPoll},
      {"epoll_wait", CallKind::kPoll},
      {"epoll_pwait", CallKind::kPoll},
      {"epoll_pwait2", CallKind::kPoll},
      {"sigreturn", CallKind::kSignal},
      {"rt_sigreturn", CallKind::kSignal},
      {"setuid", CallKind::kSetCred},
      {"setgid", CallKind::kSetCred},
      {"setreuid", CallKind::kSetCred},
      {"setregid", CallKind::kSetCred},
      {"setresuid", CallKind::kSetCred},
      {"setresgid", CallKind::kSetCred},
      {"setfsuid", CallKind::kSetCred},
      {"setfsgid", CallKind::kSetCred},
      {"setgroups", CallKind::kSetCred},
      {"capset", CallKind::kSetCred},
  };
  const auto it = kKinds.find(call);
  return it == kKinds.end() ? CallKind::kNull : it->second;
}

// Calls of many purposes, some of which end in commit_creds() (cap_task_prctl(),
// join_session_keyring(), keyctl_set_reqkey_keyring(), ksys_unshare(), commit_nsset()).
bool commits_credentials(const StraceLine& line) {
  const auto any_of = [&](std::size_t i, std::initializer_list<std::string_view> flags) {
    return std::any_of(flags.begin(), flags.end(),
                       [&](std::string_view flag) { return line.has(i, flag); });
  };
  if (line.name == "prctl") {
    if (line.has(0, "PR_CAP_AMBIENT")) {
      return any_of(1,
                    {"PR_CAP_AMBIENT_RAISE", "PR_CAP_AMBIENT_LOWER", "PR_CAP_AMBIENT_CLEAR_ALL"});
    }
    return any_of(0, {"PR_SET_KEEPCAPS", "PR_SET_SECUREBITS", "PR_CAPBSET_DROP"});
  }
  if (line.name == "keyctl") {
    if (line.has(0, "KEYCTL_SET_REQKEY_KEYRING")) return !line.has(1, "KEY_REQKEY_DEFL_NO_CHANGE");
    return line.has(0, "KEYCTL_JOIN_SESSION_KEYRING");
  }
  if (line.name == "unshare") return line.has(0, "CLONE_NEWUSER");
  return line.name == "setns" && line.has(1, "CLONE_NEWUSER");
}

unsigned components_of(std::string_view path) {
  unsigned components = 0;
  char before = '/';
  for (const char c : path) {
    if (c != '/' && before == '/') ++components;
    before = c;
  }
  return components;
}

bool is_cached(std::string_view path) {
  if (path.starts_with("/dev/")) return path.starts_with("/dev/shm/");
  return !path.starts_with("/proc/") && !path.starts_with("/sys/");
}

bool moves_data(CallKind kind) {
  return kind == CallKind::kRead || kind == CallKind::kWrite || kind == CallKind::kSocketData;
}

}  // namespace

// What a descriptor stands for is known from its open, or where strace was told to say it (-y).
CallKind StraceReader::data_kind(const StraceLine& line, CallKind kind) {
  const std::string_view shown = StraceLine::path_of(line.text(0));
  if (shown.starts_with("socket:") || shown.starts_with("UNIX") || shown.starts_with("TCP")) {
    return CallKind::kSocketData;
  }
  if (shown.starts_with('/')) return kind;
  const bool opened = files().file(static_cast<int>(line.argument(0))) != nullptr;
  return opened ? kind : CallKind::kPipeData;
}

Call StraceReader::call_of(const StraceLine& line) {
  Call call{.kind = named(line.name), .descriptors = descriptors_of(line)};
  if (commits_credentials(line)) call.kind = CallKind::kSetCred;
  const bool same = tasks_[pid_].ids.call(line);
  if (call.kind == CallKind::kSetCred) {
    if (line.failed) call.kind = CallKind::kNull;  // abort_creds(): what was never protected
    if (same) call.kind = CallKind::kSmall;
  }
  if (moves_data(call.kind)) {
    if (call.kind != CallKind::kSocketData) call.kind = data_kind(line, call.kind);
    if (line.failed) return call;
    call.bytes = line.value();
    const std::size_t to = line.name == "copy_file_range" ? 2 : 0;
    std::optional<std::uint64_t> offset;  // that the call names
    if (line.name.starts_with('p') && line.is_number(3)) offset = line.argument(3);
    if (call.kind == CallKind::kRead || call.kind == CallKind::kWrite) {
      const int descriptor = static_cast<int>(line.argument(to));
      if (const StraceFile* file = files().file(descriptor)) {
        call.file = is_cached(file->path) ? file->number : kernel::kNoCachedFile;
        call.offset = offset.value_or(files().position(descriptor));
      }
    }
    if (call.kind == CallKind::kWrite) {
      call.new_pages = files().write(static_cast<int>(line.argument(to)), call.bytes, offset);
    }
    return call;
  }
  const auto path = std::find_if(line.arguments.begin(), line.arguments.end(),
                                 [](const std::string& a) { return a.starts_with('"'); });
  if (path != line.arguments.end()) {
    const std::string_view text(*path);
    const std::string_view name = text.substr(1, text.find('"', 1) - 1);
    call.components = components_of(name);
    call.absent = line.failed && line.result.find("ENOENT") != std::string::npos;
    if (call.absent) absent_.emplace(name);
    call.proc = name.starts_with("/proc/self/") && !line.failed;
    if (call.kind == CallKind::kNull || line.failed) call.kind = CallKind::kLookup;
  }
  return call;
}

}  // namespace kpksim::workload
