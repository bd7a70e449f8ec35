#pragma once
// System calls that change no mapping: what they execute beyond entry and exit.

#include <cstdint>

#include "sim/kernel/profile.h"

namespace kpksim::kernel {

enum class CallKind : std::uint8_t {
  kNull,        // getpid and the like: entry and exit
  kSmall,       // looks up a descriptor or sets a signal's action
  kSignalMask,  // blocks and unblocks signals
  kLookup,      // walks a path, as access() and readlink()
  kStat,        // and fills a struct stat, or does so for an open file
  kOpen,        // and opens the file, to which its close belongs
  kRead,        // of a file's page cache
  kWrite,       // to it, in pages that it has or that are made
  kPipe,        // makes a pipe, to which both closes belong
  kPipeData,    // read or write of one
  kSocketData,  // send or receive, within the machine
  kPoll,
  kSignal,   // sent, handled and returned from
  kRandom,   // getrandom()
  kSetCred,  // setuid() and the like: new credentials
};

// What a call does with the descriptors of its process: that decides how long the credentials of
// those who have opened files are referenced.
struct DescriptorUse {
  enum class Kind : std::uint8_t {
    kNone,
    kOpen,        // `first` stands for a new file
    kOpenTwo,     // and so does `second` for another: of a pipe, a pair of sockets
    kFailedOpen,  // path_openat() allocates the file before it walks
    kDuplicate,   // `second` stands for what `first` does
    kClose,       // `first` to `second`
    kMark,        // the same are closed by exec from now on, or are not
  };
  Kind kind = Kind::kNone;
  bool close_on_exec = false;
  int first = -1, second = -1;
};

// A device, or a file whose contents are made when they are read (/proc): not in the page cache.
inline constexpr std::uint32_t kNoCachedFile = ~0u;

struct Call {
  CallKind kind = CallKind::kNull;
  bool absent = false;          // the path's last component
  bool proc = false;            // it is an entry of the task's own in /proc
  unsigned components = 0;      // of the path; 0: names none
  std::uint64_t bytes = 0;      // that are moved
  std::uint64_t new_pages = 0;  // of the page cache, for what is written behind a file's end
  std::uint32_t file = 0;       // of kRead and kWrite: which, by a number of its own; 0: not known
  std::uint64_t offset = 0;     // where in it
  DescriptorUse descriptors{};  // none: what it opens is closed by the same call
};

std::uint64_t instructions_of(const Call& call, const PathLengths& path);
// How many objects it gives to RCU: what looking for an absent file made (simple_lookup(): files in
// memory keep no negative entries), and a pipe's inode. Not credentials, who give themselves.
std::uint64_t callbacks_of(const Call& call);
// How many files it opens and closes itself; each has a reference to its opener's credentials.
unsigned opened_by(const Call& call);

}  // namespace kpksim::kernel
