#pragma once
// Random memory calls by parents and children, held against a naive reference: what each process
// has mapped, and how, says which accesses are allowed. Used within rc::check().

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <map>
#include <optional>

#include "sim/kernel/kernel.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {

// 8 MB in pieces of 64 KB: larger and smaller than a huge page's 2 MB.
inline constexpr std::uint64_t kWindow = 0x600000000000;
inline constexpr std::uint64_t kPiece = 64 << 10;
inline constexpr std::uint64_t kPieces = 128;

enum class Prot : std::uint8_t { kNoAccess, kReadOnly, kReadWrite };
using Pieces = std::array<std::optional<Prot>, kPieces>;

enum class MemoryCall : std::uint8_t {
  kMap,
  kUnmap,
  kProtect,
  kDontNeed,
  kFree,
  kCold,
  kCollapse,
  kPopulate,
  kPageout,
  kLock,
  kWipe,
  kMove,
  kTouch,
  kMigrate,
  kBecome,
  kOpen,
  kClose,
  kFork,
  kExit,
  kEnd
};

struct Step {
  MemoryCall call;
  std::uint8_t task, first, length, to, how;
};

inline void showValue(const Step& s, std::ostream& os) {
  os << "call " << int(s.call) << " task " << int(s.task) << " [" << int(s.first) << ", +"
     << int(s.length) << ") to " << int(s.to) << " how " << int(s.how);
}

inline rc::Gen<Step> step() {
  return rc::gen::apply(
      [](unsigned call, unsigned task, unsigned first, unsigned length, unsigned to, unsigned how) {
        Step s{};
        s.call = static_cast<MemoryCall>(call);
        s.task = static_cast<std::uint8_t>(task);
        s.first = static_cast<std::uint8_t>(first);
        s.length = static_cast<std::uint8_t>(std::min<unsigned>(length, kPieces - first));
        s.to = static_cast<std::uint8_t>(to);
        s.how = static_cast<std::uint8_t>(how);
        return s;
      },
      rc::gen::inRange(0u, static_cast<unsigned>(MemoryCall::kEnd)), rc::gen::inRange(0u, 3u),
      rc::gen::inRange(0u, unsigned{kPieces}),
      rc::gen::element(1u, 2u, 3u, 5u, 16u, 32u, 33u, 64u, 128u),
      rc::gen::inRange(0u, unsigned{kPieces}), rc::gen::inRange(0u, 6u));
}

class World {
 public:
  explicit World(const Config& config)
      : k_(core_profile_for(config.policy), kernel_profile(), config) {
    // What the kernel keeps for later is there now: stacks of tasks, its own tables, the zero page.
    for (const std::uint32_t id : {901u, 902u, 903u}) k_.spawn(id);
    Vma vma;
    vma.read = true;
    k_.mmap(901, vma, kPmdSize, kWindow);
    k_.touch(901, kWindow, poe::AccessKind::kRead);
    k_.exit_all();
    k_.clock().wait_for_rcu();
    free_ = free_pages();
    k_.spawn(1);
    mapped_[1] = {};
  }

  void execute(const Step& s) {
    auto at = mapped_.begin();
    std::advance(at, s.task % mapped_.size());
    const std::uint32_t id = at->first;
    Pieces& pieces = at->second;
    const std::uint64_t start = kWindow + s.first * kPiece, bytes = s.length * kPiece;
    switch (s.call) {
      case MemoryCall::kMap:
        map(id, pieces, s);
        break;
      case MemoryCall::kUnmap:
        k_.munmap(id, start, bytes);
        set(pieces, s, std::nullopt);
        break;
      case MemoryCall::kProtect: {
        const auto prot = static_cast<Prot>(s.how % 3);
        if (!whole(pieces, s)) break;
        k_.mprotect(id, start, bytes, prot != Prot::kNoAccess, prot == Prot::kReadWrite, false);
        set(pieces, s, prot);
        break;
      }
      case MemoryCall::kDontNeed:
        k_.madvise_dontneed(id, start, bytes);
        break;
      case MemoryCall::kFree:
        k_.madvise_free(id, start, bytes);
        break;
      case MemoryCall::kCold:
        k_.madvise_cold(id, start, bytes);
        break;
      case MemoryCall::kCollapse:
        k_.madvise_collapse(id, start, bytes);
        break;
      case MemoryCall::kPopulate:
        if (writable(pieces, s)) k_.madvise_populate(id, start, bytes, s.how % 2 == 0);
        break;
      case MemoryCall::kPageout:
        k_.madvise_pageout(id, start, bytes);
        break;
      case MemoryCall::kLock:
        if (whole(pieces, s)) k_.mlock(id, start, bytes, static_cast<Lock>(s.how % 3));
        break;
      case MemoryCall::kWipe:
        k_.madvise_wipe(id, start, bytes, s.how % 2 == 0);
        break;
      case MemoryCall::kMove:
        move(id, pieces, s);
        break;
      case MemoryCall::kTouch:
        for (std::uint64_t n = 0; n < s.length; ++n) touch(id, pieces, s.first + n, s.how);
        break;
      case MemoryCall::kMigrate:
        k_.migrate(id, s.how);
        break;
      case MemoryCall::kBecome:
        k_.system_call(id, {.kind = CallKind::kSetCred});
        break;
      case MemoryCall::kOpen:
        k_.system_call(id, {.kind = CallKind::kOpen,
                            .components = 1,
                            .descriptors = {DescriptorUse::Kind::kOpen, false, s.how}});
        break;
      case MemoryCall::kClose:
        k_.system_call(id, {.kind = CallKind::kSmall,
                            .descriptors = {DescriptorUse::Kind::kClose, false, s.how, s.how}});
        break;
      case MemoryCall::kFork:
        if (mapped_.size() < 3) fork(id);
        break;
      case MemoryCall::kExit:
        if (mapped_.size() > 1) {
          k_.exit(id);
          mapped_.erase(at);
        }
        break;
      case MemoryCall::kEnd:
        break;
    }
    const AuditResult audit = k_.audit();
    RC_ASSERT(audit.stale_leaves == 0u);
    RC_ASSERT(audit.stale_tables == 0u);
    RC_ASSERT(audit.bbm_violations == 0u);
  }

  void end() {
    k_.exit_all();
    k_.clock().wait_for_rcu();
    RC_ASSERT(free_pages() == free_);
    const auto& creds = k_.system().creds;
    const std::uint64_t live = creds ? creds->statistics().live : 0;
    RC_ASSERT(live == 0u);
  }
  Kernel& kernel() { return k_; }

 private:
  // Also those that are kept for tables and credentials to come, and cores for stacks.
  std::uint64_t free_pages() {
    const auto& creds = k_.system().creds;
    return k_.system().buddy.free_pages() + k_.system().allocator->statistics().cached +
           (creds ? creds->statistics().cached : 0) + kStackPages * k_.memory().kept_stacks();
  }
  static void set(Pieces& pieces, const Step& s, std::optional<Prot> prot) {
    for (std::uint64_t n = 0; n < s.length; ++n) pieces[s.first + n] = prot;
  }
  void map(std::uint32_t id, Pieces& pieces, const Step& s) {
    Vma vma;
    vma.read = vma.write = true;
    vma.shared = s.how == 0;
    vma.huge = s.how < 3 ? HugeAdvice::kDefault : HugeAdvice::kNoHugepage;
    k_.mmap(id, vma, s.length * kPiece, kWindow + s.first * kPiece);
    set(pieces, s, Prot::kReadWrite);
  }
  static bool whole(const Pieces& pieces, const Step& s) {
    for (std::uint64_t n = 0; n < s.length; ++n) {
      if (!pieces[s.first + n]) return false;
    }
    return true;
  }
  static bool writable(const Pieces& pieces, const Step& s) {
    for (std::uint64_t n = 0; n < s.length; ++n) {
      if (pieces[s.first + n] != Prot::kReadWrite) return false;
    }
    return true;
  }

  // mremap() of a fresh mapping, for one call takes one VMA, to where it does not overlap itself.
  void move(std::uint32_t id, Pieces& pieces, const Step& s) {
    const std::uint64_t to = s.to, end = to + s.length;
    if (end > kPieces || (to < std::uint64_t{s.first} + s.length && s.first < end)) return;
    map(id, pieces, s);
    for (std::uint64_t n = 0; n < s.length; ++n) touch(id, pieces, s.first + n, s.how);
    const std::uint64_t bytes = s.length * kPiece, target = kWindow + to * kPiece;
    const bool stays = s.how % 3 == 2;  // MREMAP_DONTUNMAP
    RC_ASSERT(k_.mremap(id, {kWindow + s.first * kPiece, bytes, bytes, target, stays}) == target);
    if (!stays) set(pieces, s, std::nullopt);
    for (std::uint64_t n = to; n < end; ++n) pieces[n] = Prot::kReadWrite;
  }

  void touch(std::uint32_t id, const Pieces& pieces, std::uint64_t piece, unsigned how) {
    // Some pages of the piece, each another way.
    for (std::uint64_t page = how % 3; page < kPiece / kPageSize; page += 3 + how) {
      const bool write = how % 2 == 0;
      const std::optional<Prot>& prot = pieces[piece];
      const bool allowed =
          prot.has_value() && *prot != Prot::kNoAccess && (!write || *prot == Prot::kReadWrite);
      const bool done = k_.touch(id, kWindow + piece * kPiece + page * kPageSize,
                                 write ? poe::AccessKind::kWrite : poe::AccessKind::kRead);
      RC_ASSERT(done == allowed);
    }
  }

  void fork(std::uint32_t id) {
    const std::uint32_t child = ++last_;
    k_.fork(id, child);
    mapped_[child] = mapped_[id];
  }

  Kernel k_;
  std::uint64_t free_ = 0;
  std::map<std::uint32_t, Pieces> mapped_;
  std::uint32_t last_ = 1;
};

}  // namespace kpksim::kernel
