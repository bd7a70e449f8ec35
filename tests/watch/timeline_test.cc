// Claims about timelines (docs/timeline.md): the format's rules hold, and what is drawn is what the
// run has counted.

#include "sim/watch/timeline.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/base/error.h"
#include "tests/command_line.h"
#include "tests/watch/trace_rules.h"

namespace kpksim::watch {
namespace {

using nlohmann::json;
using test::Trace;

// Two processes on two cores, which fork, fault, unmap and exit; memory pressure at the end.
constexpr const char* kBusy = R"({"name":"busy","phases":[
  {"name":"work","ops":[
    {"op":"spawn","task":"p"},
    {"op":"spawn","task":"q"},
    {"op":"mmap","task":"p","region":"h","size":"4M","prot":"rw"},
    {"op":"touch","task":"p","region":"h","access":"write"},
    {"op":"mmap","task":"q","region":"g","size":"1M","prot":"rw"},
    {"op":"touch","task":"q","region":"g","access":"write"},
    {"op":"fork","task":"p","child":"c"},
    {"op":"fork","task":"q","child":"d"},
    {"op":"touch","task":"p","region":"h","access":"write"},
    {"op":"munmap","task":"q","region":"g"}]},
  {"name":"end","ops":[
    {"op":"munmap","task":"p","region":"h"},
    {"op":"exit","task":"c"},
    {"op":"exit","task":"d"},
    {"op":"pressure"}]}]})";

class TimelineFile : public test::CommandLine {
 protected:
  // Runs the workload with a timeline; `result_` is the document.
  Trace draw(const std::string& options, const std::string& workload = kBusy) {
    write("w.json", workload);
    EXPECT_EQ(run("run -q --timeline t.json -o r.json " + options + " w.json"), 0) << message_;
    result_ = json::parse(read(file("r.json")))["runs"][0];
    return Trace(read(file("t.json")));
  }
  std::uint64_t event(const std::string& name) const {
    const json& events = result_["total"]["events"];
    return events.contains(name) ? events[name]["total"].get<std::uint64_t>() : 0;
  }
  std::uint64_t events_like(const std::string& begin) const {
    std::uint64_t sum = 0;
    for (const auto& [name, e] : result_["total"]["events"].items()) {
      if (name.starts_with(begin)) sum += e["total"].get<std::uint64_t>();
    }
    return sum;
  }
  void expect_counts(const Trace& trace) {
    EXPECT_EQ(trace.slices_named("TLBI "), events_like("tlbi_"));
    EXPECT_EQ(trace.slices_named("window"),
              result_["total"]["exposure"]["windows"].get<std::uint64_t>());
    EXPECT_EQ(trace.slices_named("ISB"), event("isb"));
    EXPECT_EQ(trace.slices_named("DSB ISHST"), event("dsb_ishst"));
    EXPECT_EQ(trace.slices_named("DSB ISH") - trace.slices_named("DSB ISHST"), event("dsb_ish"));
    std::size_t faults = 0;
    for (const auto& [name, n] : trace.instants) faults += n;
    EXPECT_EQ(faults, events_like("fault_"));
    EXPECT_EQ(trace.slices_named("set_memory_pkey"),
              result_["total"]["linear_map"]["set_memory_pkey"].get<std::uint64_t>());
  }

  json result_;
};

TEST_F(TimelineFile, KeepsTheFormatsRulesAndDrawsWhatWasCounted) {
  for (const char* policy : {"none,buddy,pte", "kpkeys-poe,per-page,pte",
                             "kpkeys-poe+lazy,pba,block", "kpkeys-poe,per-page,block"}) {
    for (const char* cores : {"1", "3"}) {
      const Trace trace = draw(std::string("--cores ") + cores + " -p " + policy);
      EXPECT_EQ(trace.violations, std::vector<std::string>()) << policy << ", cores: " << cores;
      expect_counts(trace);
      EXPECT_EQ(trace.slices_named("fork"), 2u);
      EXPECT_EQ(trace.slices_named("exit") - trace.slices_named("exit_mmap"), 2u);
      EXPECT_EQ(trace.slices_named("page_fault"), events_like("fault_"));
      const json& map = result_["total"]["linear_map"];
      EXPECT_EQ(trace.slices_named("split_block"),
                map["split_pmd"].get<std::uint64_t>() + map["split_pud"].get<std::uint64_t>());
      EXPECT_GT(events_like("tlbi_"), 0u);
    }
  }
  EXPECT_GT(result_["total"]["linear_map"]["split_pmd"], 0);
}

TEST_F(TimelineFile, DrawsEachCoreWhereCoresAreInterleaved) {
  for (const char* policy : {"kpkeys-poe,per-page,pte", "kpkeys-poe+lazy,pba,block"}) {
    const Trace trace = draw(std::string("--interleave --cores 4 -p ") + policy);
    EXPECT_EQ(trace.violations, std::vector<std::string>()) << policy;
    expect_counts(trace);
  }
  // Tasks that wait for each other's locks leave their core to others in the middle of a call.
  EXPECT_EQ(run("run -q --timeline t.json -o r.json -p kpkeys-poe+lazy,pba,block pba-refill-race"),
            0)
      << message_;
  result_ = json::parse(read(file("r.json")))["runs"][0];
  const Trace trace(read(file("t.json")));
  EXPECT_EQ(trace.violations, std::vector<std::string>());
  expect_counts(trace);
}

TEST_F(TimelineFile, HasAnArrowFromEachTlbiToEachCoreThatItReaches) {
  const Trace trace = draw("--cores 3 -p none,buddy,pte");
  EXPECT_EQ(trace.arrows.size(), 3 * events_like("tlbi_"));
  std::set<std::uint64_t> reached;
  for (const auto& [id, arrow] : trace.arrows) {
    EXPECT_TRUE(trace.tracks.at(arrow.to_track).ends_with("reached by"));
    reached.insert(arrow.to_track);
  }
  EXPECT_EQ(reached.size(), 3u);
  // An address space that has run on one core alone is flushed there alone.
  const Trace local = draw("--cores 3 -p none,buddy,pte,local-if-alone");
  EXPECT_EQ(local.violations, std::vector<std::string>());
  EXPECT_LT(local.arrows.size(), trace.arrows.size());
  expect_counts(local);
}

TEST_F(TimelineFile, DrawsInterruptsWithTheirTlbis) {
  const std::string program = R"({"name":"moves","phases":[{"name":"all","ops":[
    {"op":"spawn","task":"p"},
    {"op":"mmap","task":"p","region":"h","size":"64K","prot":"rw"},
    {"op":"touch","task":"p","region":"h","access":"write"},
    {"op":"migrate","task":"p","core":1},
    {"op":"touch","task":"p","region":"h","access":"write"},
    {"op":"munmap","task":"p","region":"h"}]}]})";
  const Trace trace = draw("--cores 2 -p none,buddy,pte,ipi", program);
  EXPECT_EQ(trace.violations, std::vector<std::string>());
  EXPECT_GT(event("ipi"), 1u);
  EXPECT_EQ(trace.slices_named("interrupt from core"), event("ipi"));
  expect_counts(trace);
  const Trace x86 = draw("--cores 2 --core sapphire-rapids -p none,buddy,pte", program);
  EXPECT_EQ(x86.violations, std::vector<std::string>());
  EXPECT_EQ(x86.slices_named("TLBI "), events_like("tlbi_"));
}

TEST_F(TimelineFile, ShowsAWindowOfTimeAlone) {
  const Trace whole = draw("--cores 2 -p kpkeys-poe,per-page,pte");
  // Of this machine 2.6 cycles are a nanosecond.
  const auto cycles = [&](double part) {
    return std::llround(static_cast<double>(whole.last) * 2.6 * part);
  };
  const auto window = fmt::format("{}..{}", cycles(0.3), cycles(0.6));
  const Trace part = draw("--cores 2 -p kpkeys-poe,per-page,pte --timeline-window " + window);
  EXPECT_EQ(part.violations, std::vector<std::string>());
  const auto from = static_cast<std::int64_t>(static_cast<double>(cycles(0.3)) / 2.6);
  const auto to = static_cast<std::int64_t>(static_cast<double>(cycles(0.6)) / 2.6);
  EXPECT_GE(part.first, from - 1);
  EXPECT_LE(part.last, to + 2);
  std::size_t expected = 0;
  for (const Trace::Slice& s : whole.slices) {
    if (s.name == "window" && s.to > from + 1 && s.from < to - 1) ++expected;
  }
  EXPECT_GT(expected, 10u);
  EXPECT_NEAR(static_cast<double>(part.slices_named("window")), static_cast<double>(expected), 2);
  // What is drawn of the whole goes on outside of the window, and is cut there.
  const Trace none = draw("--timeline-window 0..1 -p kpkeys-poe,per-page,pte");
  EXPECT_EQ(none.violations, std::vector<std::string>());
  EXPECT_EQ(none.slices_named("TLBI "), 0u);
}

TEST_F(TimelineFile, ChangesNothingOfTheRun) {
  for (const char* options : {"--cores 2 -p kpkeys-poe+lazy,pba,block",
                              "--interleave --cores 3 -p kpkeys-poe,per-page,pte",
                              "--check --cores 2 -p kpkeys-poe,per-page,pte"}) {
    draw(options);
    EXPECT_EQ(run(std::string("run -q -o plain.json ") + options + " w.json"), 0) << message_;
    EXPECT_EQ(read(file("r.json")), read(file("plain.json"))) << options;
    const std::string first = read(file("t.json"));
    draw(options);
    EXPECT_EQ(read(file("t.json")), first) << options;
  }
}

TEST_F(TimelineFile, EscapesWhatNamesHold) {
  const std::string name = R"(a\"b\\</script>\u0001\n)";
  const Trace trace = draw("", R"({"name":")" + name + R"(","phases":[{"name":")" + name +
                                   R"(","ops":[{"op":"spawn","task":"p"}]}]})");
  EXPECT_TRUE(trace.process.starts_with("a\"b\\</script>\x01\n: ")) << trace.process;
  EXPECT_EQ(trace.marks, std::vector<std::string>{"phase a\"b\\</script>\x01\n"});
}

TEST_F(TimelineFile, IsWrittenWholeOrNotAtAll) {
  write("w.json", kBusy);
  EXPECT_EQ(run("run -q --timeline /dev/full w.json"), 3);
  EXPECT_NE(message_.find("/dev/full: cannot be written"), std::string::npos) << message_;
  EXPECT_EQ(run("run -q --timeline none/t.json w.json"), 3);
  write("t.json", "old");
  write("bad.json", R"({"name":"x","phases":[{"name":"a","ops":[
    {"op":"spawn","task":"p"},{"op":"exit","task":"q"}]}]})");
  EXPECT_EQ(run("run -q --timeline t.json bad.json"), 2);
  EXPECT_EQ(read(file("t.json")), "old");
  EXPECT_EQ(shell("ulimit -f 8; \"$KPKSIM\" run -q --timeline t.json w.json"), 3) << message_;
  EXPECT_EQ(read(file("t.json")), "old");
  EXPECT_EQ(run("run -q --timeline w.json w.json"), 2);
  EXPECT_EQ(run("run -q -o r.json --timeline r.json w.json"), 2);
  EXPECT_EQ(read(file("w.json")), kBusy);
  EXPECT_EQ(shell("ls -A | grep -c kpksim"), 1);  // nothing is left
  // A pipe has all of it.
  EXPECT_EQ(shell("\"$KPKSIM\" run -q -f csv --timeline /dev/stderr w.json"), 0);
  EXPECT_EQ(Trace(message_).violations, std::vector<std::string>());
}

TEST_F(TimelineFile, ShowsAnAttacksStrikesAndWhatTheyMet) {
  const auto strikes = [&] {
    const Trace trace(read(file("t.json")));
    EXPECT_EQ(trace.violations, std::vector<std::string>());
    std::vector<std::string> met;
    for (const nlohmann::json& e : trace.document.at("traceEvents")) {
      if (e.value("name", "") == "strike") met.push_back(e["args"]["met"]);
    }
    return met;
  };
  const std::string attack = "attack -q --timeline t.json ";
  ASSERT_EQ(run(attack + "dirty-pagetable -p none,buddy,pte"), 0) << message_;
  EXPECT_EQ(strikes(), std::vector<std::string>{"nothing: it went through"});
  ASSERT_EQ(run(attack + "dirty-pagetable -p kpkeys-poe,per-page,pte"), 0) << message_;
  EXPECT_EQ(strikes(), std::vector<std::string>{"permission (overlay) fault, level 3"});
  // One that takes turns: at the point that the verdict is of.
  ASSERT_EQ(run(attack + "fork-stores -p kpkeys-poe+lazy,per-page,pte"), 0) << message_;
  EXPECT_EQ(strikes().size(), 1u);
  EXPECT_EQ(run(attack + "dirty-pagetable"), 2);
  EXPECT_NE(message_.find("one scenario and one policy, found 1 and 12"), std::string::npos);
  EXPECT_EQ(run(attack + "-o t.json dirty-pagetable -p none,buddy,pte"), 2);
}

TEST_F(TimelineFile, OfAKernelThatDiesEndsThere) {
  write("w.json", kBusy);
  EXPECT_EQ(run("run -q --inject skip:open.get-and-clear --timeline t.json w.json"), 1);
  const Trace trace(read(file("t.json")));
  EXPECT_EQ(trace.violations, std::vector<std::string>());
  EXPECT_GT(trace.slices_named("page_fault"), 0u);
  nlohmann::json last;  // the store that no window was open for
  for (const nlohmann::json& e : trace.document.at("traceEvents")) {
    if (e["ph"] == "i") last = e;
  }
  EXPECT_EQ(last["name"], "permission fault");
  EXPECT_EQ(last["args"]["overlay"], true) << last;
  // It dies in its boot: there is nothing to show.
  write("t.json", "old");
  EXPECT_EQ(run("run -q --inject skip:open.lazy --timeline t.json w.json"), 1);
  EXPECT_EQ(read(file("t.json")), "old");
}

TEST(TimelineWindow, IsTwoNumbersOfCycles) {
  const auto window = [](const std::string& text) { return parse_window("--w", text); };
  EXPECT_EQ(window("5..9").from, 5u);
  EXPECT_EQ(window("5..9").to, 9u);
  EXPECT_EQ(window("..9").from, 0u);
  EXPECT_EQ(window("7..").to, TimelineWindow().to);
  for (const char* wrong : {"", "5", "9..5", "5..5", "a..b", "5..-9", "5...9", " 5..9",
                            "0..99999999999999999999", "0..18446744073709551615"}) {
    EXPECT_THROW(window(wrong), InputError) << wrong;
  }
}

TEST_F(TimelineFile, SaysWhatIsWrongWithItsOptions) {
  write("w.json", kBusy);
  EXPECT_EQ(run("run --timeline-window 0..5 w.json"), 2);
  EXPECT_NE(message_.find("there is no --timeline"), std::string::npos) << message_;
  EXPECT_EQ(run("run --timeline t.json --timeline-window 5..x w.json"), 2);
  EXPECT_NE(message_.find("'x' is no number of cycles"), std::string::npos) << message_;
  EXPECT_EQ(run("compare --timeline t.json w.json"), 2);
}

}  // namespace
}  // namespace kpksim::watch
