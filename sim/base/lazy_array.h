#pragma once
// A large array of zeros that costs host memory only where it was touched: the host's own page
// tables do the sparse bookkeeping, and a look-up is one load.
//
// kSparse: few elements far apart are touched, each costs a small page of the host.
// kDense: once in use, nearly all of it is; huge pages save the host its page faults.
// kUpward: touched from the front on. The first 256 KB are small pages, as most runs touch no more;
// what follows are huge pages, as who gets there goes on.

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace kpksim {

enum class Touched : std::uint8_t { kSparse, kDense, kUpward };

template <class T>
class LazyArray {
  static_assert(std::is_trivially_default_constructible_v<T> &&
                std::is_trivially_destructible_v<T>);

 public:
  explicit LazyArray(std::size_t size, Touched touched = Touched::kSparse) : size_(size) {
    // The host has huge pages at multiples of their size alone.
    const std::size_t spare = touched == Touched::kSparse ? 0 : 2 * kHugePage;
    mapped_ = size * kElement + spare;
    map_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map_ == MAP_FAILED) throw std::bad_alloc();
    char* data = static_cast<char*>(map_);
    std::size_t small = size * kElement;
    if (touched != Touched::kSparse) {
      const std::size_t front = touched == Touched::kUpward ? kSmallFront : 0;
      data += (-reinterpret_cast<std::uintptr_t>(map_) & (kHugePage - 1)) + kHugePage - front;
      small = std::min(small, front);
    }
    madvise(data, small, MADV_NOHUGEPAGE);
    if (small < size * kElement) madvise(data + small, size * kElement - small, MADV_HUGEPAGE);
    data_ = reinterpret_cast<T*>(data);
  }
  ~LazyArray() {
    if (map_ != nullptr) munmap(map_, mapped_);
  }
  LazyArray(LazyArray&& other) noexcept
      : map_(std::exchange(other.map_, nullptr)),
        mapped_(other.mapped_),
        data_(other.data_),
        size_(other.size_) {}
  LazyArray(const LazyArray&) = delete;
  LazyArray& operator=(const LazyArray&) = delete;

  // All of it gets host memory now. What is read before it is written would cost the host two
  // faults a page, and the second one an interrupt to each other processor on which a thread runs.
  void populate() {
#ifdef MADV_POPULATE_WRITE  // Linux 5.14
    madvise(data_, size_ * kElement, MADV_POPULATE_WRITE);
#endif
  }

  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  static constexpr std::size_t kElement = sizeof(T);  // NOLINT(bugprone-sizeof-expression)

  static constexpr std::size_t kHugePage = std::size_t{1} << 21;
  static constexpr std::size_t kSmallFront = std::size_t{1} << 18;

  void* map_ = nullptr;
  std::size_t mapped_ = 0;
  T* data_ = nullptr;
  std::size_t size_;
};

}  // namespace kpksim
