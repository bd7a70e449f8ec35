#include "sim/kernel/kernel_data.h"

#include <fmt/core.h>

#include <algorithm>
#include <span>

#include "sim/base/error.h"

namespace kpksim::kernel {
namespace {

using Kind = KernelData::Kind;

// Sizes of objects and orders of their slabs, of a configuration like defconfig's: assumed, and of
// little weight, as they decide only how the same bytes are cut into objects.
struct KindInfo {
  std::uint64_t bytes;
  unsigned order;
};
constexpr std::array<KindInfo, static_cast<std::size_t>(Kind::kCount)> kDataKinds = {{
    {4096, 3},  // task_struct
    {192, 0},   // dentry
    {1024, 3},  // inode of a file system
    {256, 0},   // file
    {1024, 3},  // sk_buff's data, pipe buffers
}};
const KindInfo& info_of(Kind kind) { return kDataKinds[static_cast<std::size_t>(kind)]; }

// What a call must look at. Calls that are not named (mmap, fork and so on) and null calls have the
// task alone.
std::span<const Kind> kinds_of(CallKind call) {
  static constexpr std::array kTask = {Kind::kTask};
  static constexpr std::array kDescriptor = {Kind::kTask, Kind::kFile};
  static constexpr std::array kPath = {Kind::kTask, Kind::kDentry, Kind::kInode};
  static constexpr std::array kOpened = {Kind::kTask, Kind::kDentry, Kind::kInode, Kind::kFile};
  static constexpr std::array kContents = {Kind::kTask, Kind::kFile, Kind::kInode};
  static constexpr std::array kMessage = {Kind::kTask, Kind::kFile, Kind::kBuffer};
  switch (call) {
    case CallKind::kNull:
    case CallKind::kSignalMask:
    case CallKind::kSignal:
    case CallKind::kRandom:
    case CallKind::kSetCred:
      return kTask;
    case CallKind::kSmall:
    case CallKind::kPoll:
      return kDescriptor;
    case CallKind::kLookup:
    case CallKind::kStat:
      return kPath;
    case CallKind::kOpen:
    case CallKind::kPipe:
      return kOpened;
    case CallKind::kRead:
    case CallKind::kWrite:
      return kContents;
    case CallKind::kPipeData:
    case CallKind::kSocketData:
      return kMessage;
  }
  return kTask;
}

}  // namespace

KernelData::KernelData(System& system, const KernelDataSettings& settings)
    : system_(system), settings_(settings), random_(settings.seed) {
  if (settings.working_set / kPageSize > system.buddy.free_pages() / 2) {
    throw InputError("kernel_data: the working set is more than half of the free memory");
  }
  const std::uint64_t each = settings.working_set / kDataKinds.size();
  for (std::size_t k = 0; k < kDataKinds.size(); ++k) {
    const std::uint64_t bytes = kPageSize << kDataKinds[k].order;
    const std::uint64_t count = std::max<std::uint64_t>(each / bytes, 1);
    slabs_[k].reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto slab = system.buddy.allocate(kDataKinds[k].order, Mobility::kUnmovable);
      if (!slab) throw InputError("kernel_data: no free memory in pieces as large as a slab");
      slabs_[k].push_back(*slab);
    }
  }
}

std::vector<std::string> KernelData::assumptions(const KernelDataSettings& s) {
  return {fmt::format("kernel data: {} KB of slab objects are in use, in equal parts tasks, "
                      "dentries, inodes, files and buffers; each object is as likely as any other",
                      s.working_set >> 10),
          fmt::format("kernel data: each system call accesses {} objects of the kinds that it must "
                      "look at, {} % of them by a store",
                      s.accesses_per_call, s.store_percent),
          fmt::format("kernel data: read() and write() copy their bytes, line by line, from and to "
                      "pages of the page cache; where a call's file is not known, these are any of "
                      "{} KB",
                      s.page_cache >> 10),
          "kernel data: page faults and calls that change mappings touch no such data"};
}

void KernelData::call(cpu::Core& core, const Call& call) {
  const std::span<const Kind> kinds = kinds_of(call.kind);
  for (std::uint64_t i = 0; i < settings_.accesses_per_call; ++i) {
    touch_object(core, kinds[static_cast<std::size_t>(i % kinds.size())]);
  }
  copy(core, call);
}

// What is copied lies in one stretch of the file. Pages that mappings of the same file have are
// others (PageCache): which of them a call copies does not matter to the TLBs.
void KernelData::copy(cpu::Core& core, const Call& call) {
  if (call.kind != CallKind::kRead && call.kind != CallKind::kWrite) return;
  const std::uint64_t cached = settings_.page_cache / kPageSize;
  if (call.bytes == 0 || call.file == kNoCachedFile) return;
  if (call.file == 0 && cached == 0) return;
  const auto kind = call.kind == CallKind::kRead ? poe::AccessKind::kRead : poe::AccessKind::kWrite;
  std::uint64_t at = call.file == 0 ? random_() % cached * kPageSize : call.offset;
  const std::uint64_t end = at + call.bytes;
  for (at = align_down(at, cpu::kLineBytes); at < end; at += cpu::kLineBytes) {
    const std::uint64_t index = at / kPageSize;
    const Pfn page = cache_page(core, call.file, call.file == 0 ? index % cached : index);
    ++statistics_.cache_lines;
    if (access(core, address_of(page) + at % kPageSize, kind)) ++statistics_.cache_walks;
  }
}

Pfn KernelData::cache_page(const cpu::Core& core, std::uint32_t file, std::uint64_t index) {
  const auto [it, is_new] = page_cache_.try_emplace({file, index}, Pfn());
  if (is_new) {
    const auto page = system_.buddy.allocate(core, 0, Mobility::kMovable);
    if (!page) throw InputError("kernel_data: no free memory for the page cache");
    it->second = *page;
  }
  return it->second;
}

void KernelData::touch_object(cpu::Core& core, Kind kind) {
  const KindInfo& info = info_of(kind);
  const Slabs& slabs = slabs_[static_cast<std::size_t>(kind)];
  const Pfn slab = slabs[static_cast<std::size_t>(random_() % slabs.size())];
  const std::uint64_t objects = (kPageSize << info.order) / info.bytes;
  const std::uint64_t object = random_() % objects;
  const std::uint64_t word = random_() % (info.bytes / 8);
  const bool store = random_() % 100 < settings_.store_percent;
  ++statistics_.objects;
  access(core, address_of(slab) + object * info.bytes + word * 8,
         store ? poe::AccessKind::kWrite : poe::AccessKind::kRead);
}

// What the TLBs did is what the core counted meanwhile. The contents do not matter, and stay zero.
bool KernelData::access(cpu::Core& core, PhysAddr pa, poe::AccessKind kind) {
  const VirtAddr va = linear_va(pa);
  const std::uint64_t hits = core.happened(cpu::Event::kL2TlbHit);
  const std::uint64_t walks = core.happened(cpu::Event::kWalk);
  const mmu::Fault fault =
      kind == poe::AccessKind::kWrite ? core.store64(va, 0) : core.load64(va).fault;
  if (fault) throw KernelOops("an access to the kernel's data is refused", fault);
  core.touch_line(pa);
  statistics_.l2_tlb_hits += core.happened(cpu::Event::kL2TlbHit) - hits;
  if (core.happened(cpu::Event::kWalk) == walks) return false;
  ++statistics_.walks;
  const mmu::Leaf* const leaf = core.mmu().cached(va, false);
  if (leaf == nullptr) throw ModelError("a walk that has left nothing in the TLBs");
  constexpr unsigned kContBits = 4;  // of 16 entries
  switch (leaf->page_bits) {
    case kPageShift:
      ++statistics_.walks_4k;
      break;
    case kPageShift + kContBits:
      ++statistics_.walks_64k;
      break;
    case kPmdShift:
      ++statistics_.walks_2m;
      break;
    case kPmdShift + kContBits:
      ++statistics_.walks_32m;
      break;
    case kPudShift:
      ++statistics_.walks_1g;
      break;
    default:
      throw ModelError("a leaf of a size that the linear map has not");
  }
  return true;
}

}  // namespace kpksim::kernel
