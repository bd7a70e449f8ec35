#pragma once
// Cores that run at once, in simulated time. What runs on a core is a strand: an activity from its
// beginning to its end, with a stack of its own. It can be left where the order of cores matters
// (Core::turn()): there the core whose clock is earliest goes on, of several the one with the
// lowest number. So what one core does between two such points is one step for the others; a step
// begins when no other core is behind it in time.
//
// A strand that waits for another one spins, and its core with it, or sleeps, and its core does
// something else. Everything happens in one thread of the host, in an order that depends on
// simulated time alone: the same bytes for any machine.

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/fiber.h"
#include "sim/cpu/core.h"
#include "sim/cpu/core_set.h"
#include "sim/cpu/turns.h"

namespace kpksim::cpu {

class Interleaver final : public Turns {
 public:
  // What software keeps for the activity that runs, in one place for all cores: it is exchanged
  // with what this one keeps whenever it goes on, and when it is left.
  class Kept {
   public:
    virtual ~Kept() = default;
    virtual void exchange() = 0;
  };

  class Strand {
   public:
    Strand(Interleaver& owner, std::unique_ptr<Kept> kept);
    unsigned core() const { return core_; }
    bool sleeps() const { return state_ == State::kSleeps; }
    bool spins() const { return state_ == State::kSpins; }
    // No other core runs its address space, or looks into it: what such cores alone would see
    // (Seen::kByAddressSpace) needs no order. Returns what was so before.
    bool set_unseen(bool unseen) { return std::exchange(unseen_, unseen); }
    bool unseen() const { return unseen_; }

   private:
    friend class Interleaver;
    enum class State : std::uint8_t { kRuns, kSpins, kSleeps, kEnded };

    std::function<void()> job_;
    std::unique_ptr<Kept> kept_;
    Fiber fiber_;
    State state_ = State::kEnded;
    unsigned core_ = 0;
    CauseId cause_ = 0;  // while it sleeps
    unsigned level_ = 0;
    std::uint64_t woken_at_ = 0;
    bool slept_ = false;  // since it began to spin
    bool unseen_ = false;
    bool ends_ = false;  // it is not needed any more
  };

  // Where work comes from.
  struct Source {
    // For a core that has nothing to do; empty: it idles until call() names it.
    std::function<std::function<void()>(unsigned core)> next;
    std::function<std::unique_ptr<Kept>()> keep;
    // This core goes on.
    std::function<void(unsigned core)> goes_on;
    // A strand of this core has come to a point where the order of cores matters, and nobody is
    // behind it: what happens to the core at that moment. It runs in the strand, and may wait; it
    // must not throw (fail()). Empty: nothing does.
    std::function<void(Core& core)> at_turn = {};
  };

  explicit Interleaver(Machine& machine);
  ~Interleaver() override;

  // Until all cores idle and nobody waits. What a strand throws is the end of all: the others stay
  // where they are, and it is thrown on. ModelError if all wait for each other.
  void run(const Source& source);
  // False outside run(), and while an exception takes a strand apart: nobody waits then.
  bool running() const { return current_ != nullptr && std::uncaught_exceptions() == 0; }

  void turn(Core& core, Seen by) override;
  // The same, but others whose clocks say the same act first, too.
  void let_pass(Core& core);
  // By a strand: it goes no further, and run() throws this.
  [[noreturn]] void fail(std::exception_ptr failure);
  // There is work for this core, from `time` on.
  void call(unsigned core, std::uint64_t time);

  // This core has no strand and is not going to get one.
  bool idles(unsigned core) const { return idle_.has(core); }
  std::optional<unsigned> first_idle() const { return idle_.first(); }
  // All cores meet at the time of the last one.
  void meet();

  Strand& current() { return *current_; }
  // It waits until somebody wakes it. True: it was put to sleep meanwhile.
  bool spin();
  void sleep();
  // `strand` waits no longer, from `time` on.
  void wake(Strand& strand, std::uint64_t time);
  // One that spins goes to sleep: its core is free for something else.
  void put_to_sleep(Strand& strand);
  // How often another strand went on: whether somebody else has run since.
  std::uint64_t changes() const { return changes_; }

  // While it lives no other core acts.
  class Alone {
   public:
    explicit Alone(Interleaver& i) : interleaver_(i) { ++interleaver_.alone_; }
    ~Alone() { --interleaver_.alone_; }
    Alone(const Alone&) = delete;
    Alone& operator=(const Alone&) = delete;

   private:
    Interleaver& interleaver_;
  };

 private:
  // When a core goes on: no core that is earlier is left.
  struct Place {
    std::uint64_t time = std::numeric_limits<std::uint64_t>::max();
    bool lets_pass = true;
    unsigned core = std::numeric_limits<unsigned>::max();

    auto operator<=>(const Place&) const = default;
  };
  struct CoreState {
    Strand* strand = nullptr;  // that it has; it may spin
    std::deque<Strand*> woken;
    bool queued = false;
    bool lets_pass = false;
  };
  // How far (millicycles) a core gets ahead of others while it does what nobody sees. Their order
  // matters a little even then: of pages that come from one free list, of interrupts to it. Zeroing
  // a huge page, which nothing divides, takes a core two thirds of that.
  static constexpr std::uint64_t kAhead = 50'000'000;

  void queue(unsigned core);
  // The next strand of a core that has none; false: it idles.
  bool assign(unsigned core);
  void go_on(unsigned core);
  void leave();
  Strand& unused_strand();
  void body(Strand& strand);
  void abandon();

  Machine& machine_;
  const Source* source_ = nullptr;
  std::vector<CoreState> cores_;
  CoreSet idle_;              // to find one without a look at all
  std::vector<Place> queue_;  // a heap, the earliest first
  Place horizon_;             // of the strand that runs
  Strand* current_ = nullptr;
  std::vector<std::unique_ptr<Strand>> strands_;
  std::vector<Strand*> unused_;
  std::size_t busy_ = 0;  // strands that have begun and not ended
  std::uint64_t changes_ = 0;
  unsigned alone_ = 0;
  std::exception_ptr failure_;
};

}  // namespace kpksim::cpu
