// The ranges of an address space, against a list of pages.

#include "sim/kernel/vma.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kPages = 24;

std::uint64_t address(std::uint64_t page) { return page * kPageSize; }

// find() keeps what it found last: whatever comes, goes or changes between, it says what a list of
// all pages says.
RC_GTEST_PROP(VmaTree, FindsWhatAListOfPagesFinds, ()) {
  VmaTree vmas;
  std::map<std::uint64_t, bool> pages;  // that are mapped; whether they may be written
  const auto page = [](std::uint64_t from, std::uint64_t to) {
    return *rc::gen::inRange<std::uint64_t>(from, to);
  };
  for (int step = 0; step < 60; ++step) {
    const std::uint64_t first = page(0, kPages), last = page(first + 1, kPages + 1);
    switch (*rc::gen::inRange(0, 4)) {
      case 0: {  // mmap() with MAP_FIXED
        vmas.split(address(first));
        vmas.split(address(last));
        for (auto it = vmas.first_above(address(first));
             it != vmas.end() && it->first < address(last); it = vmas.first_above(address(first))) {
          vmas.erase(it->first);
        }
        Vma added;
        added.start = address(first);
        added.end = address(last);
        added.write = *rc::gen::arbitrary<bool>();
        vmas.insert(added);
        for (std::uint64_t p = first; p < last; ++p) pages[p] = added.write;
        break;
      }
      case 1:  // munmap() of what contains a page
        if (const Vma* const vma = vmas.find(address(first))) {
          const std::uint64_t start = vma->start / kPageSize, end = vma->end / kPageSize;
          vmas.erase(vma->start);
          for (std::uint64_t p = start; p < end; ++p) pages.erase(p);
        }
        break;
      case 2:  // mprotect() of what contains a page
        if (Vma* const vma = vmas.find(address(first))) {
          vma->write = !vma->write;
          const std::uint64_t start = vma->start;
          for (std::uint64_t p = start / kPageSize; p < vma->end / kPageSize; ++p) {
            pages[p] = vma->write;
          }
          vmas.merge(start);
        }
        break;
      default:
        if (*rc::gen::inRange(0, 8) == 0) {
          vmas.clear();
          pages.clear();
        } else {
          vmas.split(address(first));
        }
    }
    for (const std::uint64_t at : {page(0, kPages), page(0, kPages), first}) {
      const Vma* const found = vmas.find(address(at) + 8);
      RC_ASSERT((found != nullptr) == pages.contains(at));
      if (found == nullptr) continue;
      RC_ASSERT(found->start <= address(at) && address(at) < found->end);
      RC_ASSERT(found->write == pages.at(at));
    }
  }
}

}  // namespace
}  // namespace kpksim::kernel
