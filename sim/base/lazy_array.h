#pragma once
// A large array of zeros that costs host memory only where it was touched: the host's own page
// tables do the sparse bookkeeping, and a look-up is one load.
//
// kSparse: few elements far apart are touched, each costs a small page of the host.
// kDense: once in use, nearly all of it is; huge pages save the host its page faults.

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace kpksim {

enum class Touched : bool { kSparse, kDense };

template <class T>
class LazyArray {
  static_assert(std::is_trivially_default_constructible_v<T> &&
                std::is_trivially_destructible_v<T>);

 public:
  explicit LazyArray(std::size_t size, Touched touched = Touched::kSparse) : size_(size) {
    void* const memory = mmap(nullptr, size * kElement, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    madvise(memory, size * kElement, touched == Touched::kDense ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    data_ = static_cast<T*>(memory);
  }
  ~LazyArray() {
    if (data_ != nullptr) munmap(data_, size_ * kElement);
  }
  LazyArray(LazyArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  LazyArray(const LazyArray&) = delete;
  LazyArray& operator=(const LazyArray&) = delete;

  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  static constexpr std::size_t kElement = sizeof(T);  // NOLINT(bugprone-sizeof-expression)

  T* data_ = nullptr;
  std::size_t size_;
};

}  // namespace kpksim
