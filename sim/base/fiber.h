#pragma once
// An activity with a stack of its own, which goes on where it left off: Boost.Context, and what the
// address sanitizer has to be told when stacks change. One thread runs a fiber at a time.

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <functional>

namespace kpksim {

class Fiber {
 public:
  // `body` begins with the first resume(). It must not throw. A fiber that is destroyed before its
  // body has ended goes without unwinding: what its scopes hold is lost, and nothing of it runs any
  // more.
  explicit Fiber(std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // By who owns it: the body goes on, until it suspends itself or ends.
  void resume();
  // By the body: back to who has resumed it.
  void suspend();
  bool ended() const { return !fiber_; }

 private:
  void abandon();
  boost::context::fiber enter(boost::context::fiber&& caller);

  std::function<void()> body_;
  boost::context::stack_context memory_;
  boost::context::fiber fiber_, caller_;
  // The stacks, as the sanitizer knows them.
  const void* stack_ = nullptr;
  std::size_t stack_bytes_ = 0;
  const void* callers_stack_ = nullptr;
  std::size_t callers_bytes_ = 0;
};

}  // namespace kpksim
