#include "sim/base/fiber.h"

#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstddef>
#include <new>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define KPKSIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KPKSIM_ASAN 1
#endif
#endif
#ifdef KPKSIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

namespace kpksim {
namespace {

// Calls of the model are some dozen frames deep. Pages that are never used cost nothing; below
// them lies one that ends the process rather than let the stack run into something else.
#ifdef KPKSIM_ASAN
constexpr std::size_t kStackBytes = 2 << 20;
#else
constexpr std::size_t kStackBytes = 512 << 10;
#endif

// The last frames of a stack never return. What they have poisoned would be taken for stack by
// whatever is mapped there next.
class Stack : boost::context::protected_fixedsize_stack {
  using Base = boost::context::protected_fixedsize_stack;

 public:
  Stack() : Base(kStackBytes) {}
  using Base::allocate;
  void deallocate(boost::context::stack_context& memory) noexcept {
#ifdef KPKSIM_ASAN
    __asan_unpoison_memory_region(static_cast<const char*>(memory.sp) - memory.size, memory.size);
#endif
    Base::deallocate(memory);
  }
};

// Announces that another stack will be used from now on; `leaving` keeps what belongs to this one,
// null: it will not be used again.
void begin_switch([[maybe_unused]] void** leaving, [[maybe_unused]] const void* stack,
                  [[maybe_unused]] std::size_t bytes) {
#ifdef KPKSIM_ASAN
  __sanitizer_start_switch_fiber(leaving, stack, bytes);
#endif
}
void end_switch([[maybe_unused]] void* entering, [[maybe_unused]] const void** from,
                [[maybe_unused]] std::size_t* bytes) {
#ifdef KPKSIM_ASAN
  __sanitizer_finish_switch_fiber(entering, from, bytes);
#endif
}

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {
  Stack allocator;
  memory_ = allocator.allocate();
  stack_ = static_cast<const char*>(memory_.sp) - memory_.size;
  stack_bytes_ = memory_.size;
  fiber_ = boost::context::fiber(
      std::allocator_arg, boost::context::preallocated(memory_.sp, memory_.size, memory_),
      allocator, [this](boost::context::fiber&& caller) { return enter(std::move(caller)); });
}

Fiber::~Fiber() {
  if (!ended()) abandon();
}

// Boost would unwind: scopes of what has failed in the middle would act once more. So the object
// that stands for the rest of the stack is forgotten, and only the stack's memory goes.
void Fiber::abandon() {
  alignas(boost::context::fiber) std::byte forgotten[sizeof(boost::context::fiber)];
  new (forgotten) boost::context::fiber(std::move(fiber_));
#ifdef KPKSIM_ASAN
  __lsan_register_root_region(stack_, stack_bytes_);  // what it holds is no leak
#else
  Stack().deallocate(memory_);
#endif
}

boost::context::fiber Fiber::enter(boost::context::fiber&& caller) {
  end_switch(nullptr, &callers_stack_, &callers_bytes_);
  caller_ = std::move(caller);
  body_();
  begin_switch(nullptr, callers_stack_, callers_bytes_);
  return std::move(caller_);
}

void Fiber::resume() {
  void* kept = nullptr;
  begin_switch(&kept, stack_, stack_bytes_);
  fiber_ = std::move(fiber_).resume();
  end_switch(kept, nullptr, nullptr);
}

void Fiber::suspend() {
  void* kept = nullptr;
  begin_switch(&kept, callers_stack_, callers_bytes_);
  caller_ = std::move(caller_).resume();
  end_switch(kept, &callers_stack_, &callers_bytes_);
}

}  // namespace kpksim
