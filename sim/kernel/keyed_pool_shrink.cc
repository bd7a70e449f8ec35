// What a pool's shrinker gives back (ShrinkRule).

#include <algorithm>

#include "sim/kernel/cause.h"
#include "sim/kernel/keyed_pool.h"

namespace kpksim::kernel {

using Share = KeyedPool::Share;

std::uint64_t Share::spare() const {
  return cached_.size() - std::min(cached_.size(), settings_.keep);
}

// kPieces and kIdle know what goes when they look. A look of kIdle begins the next stretch of time:
// were its count 0, nobody would look again.
std::uint64_t Share::shrinkable() const {
  if (settings_.shrink == ShrinkRule::kRuns) return std::min(spare(), cached_.whole_pages());
  return spare();
}

std::uint64_t Share::scan(cpu::Core& core, std::uint64_t count) {
  const Because shrinking(core, Cause::kShrink);
  switch (settings_.shrink) {
    case ShrinkRule::kV6:
      return scan_v6(core, count);
    case ShrinkRule::kRuns:
      return scan_runs(core, count, spare());
    case ShrinkRule::kPieces: {
      std::uint64_t freed = scan_runs(core, count, spare());
      if (freed == 0 && break_up()) freed = scan_runs(core, count, spare());
      return freed;
    }
    case ShrinkRule::kIdle: {
      scanned_ = true;
      const std::uint64_t idle = unneeded_ - std::min(unneeded_, settings_.keep);
      const std::uint64_t freed = scan_runs(core, count, std::min(idle, spare()));
      unneeded_ -= freed;
      return freed;
    }
  }
  return 0;
}

// Whole runs until `count` pages have gone, of which the last may be more; never more than `most`.
std::uint64_t Share::scan_runs(cpu::Core& core, std::uint64_t count, std::uint64_t most) {
  std::uint64_t freed = 0;
  while (freed < count) {
    const auto run = cached_.whole_run(most - freed);
    if (!run) break;
    freed += release_run(core, *run);
  }
  return freed;
}

// The run with most free pages of which enough are in whole pieces becomes pieces.
bool Share::break_up() {
  for (const Pfn run : cached_.partly_free(settings_.worth_breaking)) {
    if (cached_.run(run).order <= kPieceOrder) continue;
    if (cached_.in_pieces(run, kPieceOrder) < settings_.worth_breaking) continue;
    cached_.divide_run(run, kPieceOrder);
    ++broken_;
    return true;
  }
  return false;
}

std::uint64_t Share::release_run(cpu::Core& core, Pfn first) {
  const KeyedPages::Run run = cached_.run(first);
  cached_.remove_run(first);
  client_.unmark_run(core, first, run.pages());
  pool_.buddy_.free_split(core, first, run.order);  // release_whole_block(): page by page
  ++(run.order == kBlockOrder ? shrunk_blocks_ : shrunk_runs_);
  return run.pages();
}

// The block of 2 MB that a page belongs to.
std::optional<Pfn> Share::block_of(Pfn pfn) const {
  const auto run = cached_.run_of(pfn);
  return run && cached_.run(*run).order == kBlockOrder ? run : std::nullopt;
}

// pba_shrink_scan()
std::uint64_t Share::scan_v6(cpu::Core& core, std::uint64_t count) {
  const std::uint64_t most = spare();
  std::uint64_t outside = 0;  // pages that belong to no block
  std::uint64_t free = 0;     // of the block with most free pages
  std::optional<Pfn> target;
  for (const Pfn pfn : cached_.newest()) {
    const auto block = block_of(pfn);
    if (!block) {
      ++outside;
    } else if (const std::uint64_t pages = cached_.run(*block).cached; pages > free) {
      target = block;
      free = pages;
      if (free == kBlockPages) break;
    }
  }
  if (free == kBlockPages) {
    if (most < kBlockPages) return 0;  // part of it would split the linear map
    return release_run(core, *target);
  }
  if (target && outside < std::min(free, count) && free >= settings_.worth_breaking) {
    count = std::min(count, free);
  } else {
    count = std::min(count, outside);
    target.reset();
  }
  return release_pages(core, target, std::min(count, most));
}

// `count` cached pages of `block`, which is none from now on, or of no block.
std::uint64_t Share::release_pages(cpu::Core& core, std::optional<Pfn> block, std::uint64_t count) {
  std::list<Pfn> gone;
  for (const Pfn pfn : cached_.newest()) {
    if (gone.size() == count) break;
    if (block_of(pfn) == block) gone.push_front(pfn);
  }
  if (block) {
    cached_.forget_run(*block);
    ++broken_;
  }
  for (const Pfn pfn : gone) {
    cached_.remove(pfn);
    cached_.cut_out(pfn);
  }
  for (const Pfn pfn : gone) {
    client_.unmark_run(core, pfn, 1);
    pool_.buddy_.free(core, pfn, 0);
  }
  shrunk_pages_ += gone.size();
  return gone.size();
}

}  // namespace kpksim::kernel
