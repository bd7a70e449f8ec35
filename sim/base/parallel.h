#pragma once
// Independent work on several threads.

#include <atomic>
#include <cstddef>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace kpksim {

// Calls work(0) to work(count - 1), on up to `jobs` threads, or as many as the system gives.
// Rethrows the exception of the lowest number, whichever thread was faster.
template <class Work>
void parallel_for(std::size_t count, unsigned jobs, Work&& work) {
  std::vector<std::exception_ptr> errors(count);
  std::atomic<std::size_t> next = 0;
  const auto loop = [&] {
    for (std::size_t i; (i = next++) < count;) {
      try {
        work(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(count < jobs ? count : jobs);
    try {
      for (std::size_t i = 1; i < jobs && i < count; ++i) threads.emplace_back(loop);
    } catch (const std::system_error&) {  // too many, or no memory for its stack
    }
    loop();
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace kpksim
