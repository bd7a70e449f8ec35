#pragma once
// Which pages a program has written, in the order in which it did.

#include <cstdint>
#include <utility>
#include <vector>

namespace kpksim::workload {

// Ranges in the order in which they were last written.
class WrittenPages {
 public:
  void add(std::uint64_t start, std::uint64_t end);
  void cut(std::uint64_t start, std::uint64_t end);
  std::uint64_t pages() const { return pages_; }
  std::uint64_t page(std::uint64_t i) const;  // address of the i-th; i < pages()
  // What of [start, end) was written.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> within(std::uint64_t start,
                                                              std::uint64_t end) const;

 private:
  struct Range {
    std::uint64_t start, end;
  };
  std::vector<Range> ranges_;
  std::uint64_t pages_ = 0;
};

}  // namespace kpksim::workload
