#include "sim/kernel/call.h"

#include <algorithm>

#include "sim/base/types.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kLine = 64;  // bytes that copy_to_user() moves in a round, or getrandom()
constexpr std::uint64_t kKey = 32;   // CHACHA_KEY_SIZE

// fs/namei.c: getname(), the walk, one look-up for each component.
std::uint64_t lookup(const Call& call, const PathLengths& path) {
  if (call.components == 0) return 0;
  return path.path_walk + call.components * path.path_component +
         (call.absent ? path.path_absent : 0);
}

std::uint64_t copy(const Call& call, const PathLengths& path) {
  return (call.bytes + kLine - 1) / kLine * path.copy_line;
}

// A call finds its first page within its own length.
std::uint64_t further_pages(const Call& call) {
  return (std::max<std::uint64_t>(call.bytes, 1) - 1) / kPageSize;
}

}  // namespace

std::uint64_t instructions_of(const Call& call, const PathLengths& path) {
  switch (call.kind) {
    case CallKind::kNull:
      return 0;
    case CallKind::kSetCred:
      return path.set_cred;
    case CallKind::kSmall:
      return path.small_call;
    case CallKind::kSignalMask:
      return path.signal_mask;
    case CallKind::kLookup:
      return lookup(call, path);
    case CallKind::kStat:
      return lookup(call, path) + (call.absent ? 0 : path.stat);
    case CallKind::kOpen:
      return lookup(call, path) + (call.absent ? 0 : path.open_file);
    case CallKind::kRead:
      return path.read_data + further_pages(call) * path.read_page + copy(call, path);
    case CallKind::kWrite:
      // A page that is made here is written, not zeroed as in a fault.
      return path.write_data + further_pages(call) * path.write_page + copy(call, path) +
             call.new_pages * (path.cache_page - std::min(path.cache_page, path.clear_page));
    case CallKind::kPipe:
      return path.open_pipe;
    case CallKind::kPipeData:
      return path.pipe_data + further_pages(call) * path.pipe_page + copy(call, path);
    case CallKind::kSocketData:  // a short message lies behind its head, a page is allocated
      return path.socket_data + call.bytes / kPageSize * path.pipe_page + copy(call, path);
    case CallKind::kPoll:
      return path.poll;
    case CallKind::kSignal:
      return path.signal;
    case CallKind::kRandom:  // get_random_bytes_user(): a short answer needs no block of its own
      return path.random_data +
             (call.bytes <= kKey ? 0 : (call.bytes + kLine - 1) / kLine * path.random_block);
  }
  return 0;
}

unsigned opened_by(const Call& call) {
  if (call.descriptors.kind != DescriptorUse::Kind::kNone) return 0;
  if (call.kind == CallKind::kPipe) return 2;
  return call.kind == CallKind::kOpen ? 1 : 0;
}

std::uint64_t callbacks_of(const Call& call) {
  return (call.absent ? 1 : 0) + (call.kind == CallKind::kPipe ? 1 : 0);
}

}  // namespace kpksim::kernel
