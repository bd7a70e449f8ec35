#pragma once
// What was made last, by key: made once, also if several threads ask for it at the same time.

#include <cstddef>
#include <exception>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace kpksim::app {

// Keeps up to `most`; those that are in use live on with their users.
template <class T>
class Recent {
 public:
  explicit Recent(std::size_t most) : most_(most) {}

  // make() gives a T. What it throws, each who asks for this key gets.
  template <class Make>
  std::shared_ptr<const T> get(const std::string& key, const Make& make) {
    std::promise<std::shared_ptr<const T>> promise;
    const Future future = find_or_promise(key, promise);
    if (future.valid()) return future.get();
    try {
      auto made = std::make_shared<const T>(make());
      promise.set_value(made);
      return made;
    } catch (...) {
      promise.set_exception(std::current_exception());
      throw;
    }
  }

 private:
  using Future = std::shared_future<std::shared_ptr<const T>>;

  // The future of who makes it; none, if `promise` is the one that is to be kept.
  Future find_or_promise(const std::string& key, std::promise<std::shared_ptr<const T>>& promise) {
    const std::scoped_lock lock(mutex_);
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->first != key) continue;
      entries_.splice(entries_.begin(), entries_, it);
      return it->second;
    }
    entries_.emplace_front(key, promise.get_future().share());
    if (entries_.size() > most_) entries_.pop_back();
    return {};
  }

  const std::size_t most_;
  std::mutex mutex_;
  std::list<std::pair<std::string, Future>> entries_;  // the last one that was asked for is first
};

}  // namespace kpksim::app
