// Properties: what strace was told to print, and what a terminal or a mail has made of it, does not
// change what a recording says.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <sstream>

#include "tests/paths.h"
#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

struct Line {
  std::string pid, body;
};

std::vector<Line> reference(const std::string& name) {
  std::ifstream file(test::source_path("tests/reported/" + name + ".strace"));
  std::vector<Line> lines;
  for (std::string text; std::getline(file, text);) {
    const std::size_t space = text.find(' ');
    lines.push_back({text.substr(0, space), text.substr(space + 1)});
  }
  return lines;
}

// How strace was called, and what became of its output.
struct Form {
  int prefix = 0;  // "7 ", "[pid     7] ", or on a terminal none while there is one task
  int time = 0;    // none, -t, -tt, -ttt, -r, -t -r
  bool durations = false, numbers = false, addresses = false, stacks = false;
  std::string name;  // -Y
  bool carriage_returns = false, byte_order_mark = false;
  int quoted = 0;
  bool notes = false, signals = false;

  std::string text(const std::vector<Line>& lines) const;

 private:
  std::string columns(const Line& line, bool alone) const;
};

std::string Form::columns(const Line& line, bool alone) const {
  const std::string who = line.pid + (name.empty() ? "" : "<" + name + ">");
  std::string out = prefix == 0 ? who + " " : prefix == 2 && alone ? "" : "[pid   " + who + "] ";
  const char* times[] = {"",
                         "10:00:01 ",
                         "23:59:59.123456 ",
                         "1700000000.123456 ",
                         "     0.000123 ",
                         "10:00:01 (+     0.000123) "};
  out += times[time];
  if (addresses) out += "[00007f1234567890] ";
  if (numbers) out += "[  59] ";
  return out;
}

std::string Form::text(const std::vector<Line>& lines) const {
  std::string out = byte_order_mark ? "\xef\xbb\xbf" : "";
  const std::string mark = quoted == 0 ? "" : quoted == 1 ? "> " : "> > ";
  const auto put = [&](const std::string& line) {
    out += mark + line + (carriage_returns ? "\r\n" : "\n");
  };
  std::set<std::string> alive;
  for (const Line& line : lines) {
    alive.insert(line.pid);
    std::string body = line.body;
    const bool result = body.find(") ") != std::string::npos && !body.starts_with("<unfinished");
    if (durations && result && !body.ends_with("...>")) body += " <0.000012>";
    put(columns(line, alive.size() == 1) + body);
    if (stacks) put(" > /lib/x86_64-linux-gnu/libc.so.6(__mmap+0x26) [0x11ee76]");
    if (signals) put(columns(line, alive.size() == 1) + "--- SIGALRM {si_signo=SIGALRM} ---");
    if (notes) put("strace: Process 99 detached");
    const std::size_t made = body.starts_with("clone(") ? body.rfind("= ") : std::string::npos;
    if (made != std::string::npos) alive.insert(body.substr(made + 2, 3));
    if (body.starts_with("+++ exited")) alive.erase(line.pid);
  }
  return out;
}

// On a terminal a recording of one task never names it.
std::vector<Line> any_reference(bool terminal = false) {
  return reference(terminal ? *rc::gen::element<std::string>("ref-fork", "ref-thread")
                            : *rc::gen::element<std::string>("ref-base", "ref-fork", "ref-thread"));
}

Form any_form() {
  Form form;
  form.prefix = *rc::gen::inRange(0, 3);
  form.time = *rc::gen::inRange(0, 6);
  form.durations = *rc::gen::arbitrary<bool>();
  form.numbers = *rc::gen::arbitrary<bool>();
  form.addresses = *rc::gen::arbitrary<bool>();
  form.stacks = *rc::gen::arbitrary<bool>();
  form.signals = *rc::gen::arbitrary<bool>();
  form.notes = *rc::gen::arbitrary<bool>();
  form.carriage_returns = *rc::gen::arbitrary<bool>();
  form.byte_order_mark = *rc::gen::arbitrary<bool>();
  form.quoted = *rc::gen::inRange(0, 3);
  form.name = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("a]) [(,=\"/-> 1")));
  form.name = form.name.substr(0, 15);
  // strace escapes what would end the name.
  for (std::size_t at = 0; (at = form.name.find('>', at)) != std::string::npos;) {
    form.name.replace(at, 1, "\\76");
  }
  return form;
}

// Where strace may break a call off: behind its bracket, or behind a comma.
std::vector<std::size_t> breaks(const std::string& body) {
  std::vector<std::size_t> at;
  const std::size_t bracket = body.find('('), end = body.rfind(" = ");
  if (body.starts_with("+++") || bracket == std::string::npos) return at;
  at.push_back(bracket + 1);
  int depth = 0;
  for (std::size_t i = bracket + 1; i < end && i + 1 < body.size(); ++i) {
    depth += body[i] == '[' || body[i] == '{' || body[i] == '(';
    depth -= body[i] == ']' || body[i] == '}' || body[i] == ')';
    if (depth == 0 && body[i] == ',') at.push_back(i + 2);
  }
  return at;
}

class StraceForms : public Strace {
 protected:
  void expect_same(const std::vector<Line>& lines, const std::string& text) const {
    Texts as = ops(Form{}.text(lines), TouchRule{});
    const Texts got = ops(text, TouchRule{});
    // On a terminal a task that is alone, or whose child is, may never be named.
    for (std::string& op : as) {
      const std::size_t at = got[0] == "spawn 1" ? op.find(" 500") : std::string::npos;
      if (at != std::string::npos) op.replace(at, 4, " 1");
    }
    RC_ASSERT(got == as);
    RC_ASSERT(read(text).not_understood.empty());
  }
};

RC_GTEST_FIXTURE_PROP(StraceForms, WhatStraceWasToldToPrintDoesNotMatter, ()) {
  const Form form = any_form();
  const std::vector<Line> lines = any_reference(form.prefix == 2);
  expect_same(lines, form.text(lines));
}

RC_GTEST_FIXTURE_PROP(StraceForms, UnfinishedAndResumedHalvesAreOneCall, ()) {
  const std::vector<Line> lines = any_reference();
  std::vector<Line> cut;
  for (const Line& line : lines) {
    const auto at = breaks(line.body);
    if (at.empty() || line.body.starts_with("exit") || !*rc::gen::arbitrary<bool>()) {
      cut.push_back(line);
      continue;
    }
    const std::size_t where = *rc::gen::elementOf(at);
    const std::string name = line.body.substr(0, line.body.find('('));
    cut.push_back({line.pid, line.body.substr(0, where) + " <unfinished ...>"});
    cut.push_back({line.pid, "<... " + name + " resumed>" + line.body.substr(where)});
  }
  Form form = any_form();
  form.prefix = *rc::gen::inRange(0, 2);
  expect_same(lines, form.text(cut));
}

// On a terminal: strace's notes and the program's own output stand in the middle of calls.
RC_GTEST_FIXTURE_PROP(StraceForms, WhatElseIsOnTheTerminalDoesNotMatter, ()) {
  const std::vector<Line> lines = any_reference(true);
  Form form = any_form();
  form.prefix = 2;
  form.durations = form.stacks = form.notes = form.signals = false;
  form.quoted = 0;
  std::istringstream whole(form.text(lines));
  std::string text;
  for (std::string line; std::getline(whole, line);) {
    const std::size_t bracket = line.rfind("(", line.find("clone(") + 6);
    const bool makes = line.find("clone(") != std::string::npos;
    const int kind = *rc::gen::inRange(0, 5);
    const std::string note = *rc::gen::element<std::string>("strace: ", "/usr/bin/strace: ", "") +
                             "Process " + (makes ? "501 attached" : "99 detached");
    std::vector<std::size_t> at;
    const std::size_t comma = line.find(", ");
    if (makes) at.push_back(bracket + 1);
    if (makes && comma != std::string::npos) at.push_back(comma + 2);
    if (!makes || kind > 2) {
      text += line + "\n";
      if (kind == 0) text += note + "\n";
      continue;
    }
    const std::size_t where = *rc::gen::elementOf(at);
    text += line.substr(0, where) + note + "\n" + line.substr(where) + "\n";
  }
  expect_same(lines, text);
}

TEST_F(StraceForms, AProgramsOutputInItsOwnCallIsNotStraces) {
  const std::string before = "brk(NULL) = 0x555555580000\n", after = "munmap(NULL, 4096) = 0\n";
  for (const char* call :
       {"write(1, \"hello\\n\", 6hello\n)                  = 6\n",
        "write(1, \"a\\nb\\n\\n\", 5a\nb\n\n) = 5\n", "write(1, \"say: \", 5say: ) = 5\n",
        "write(1, \"\\\"q\\n\", 3\"q\n) = 3\n",
        "write(1, \"x\\n\", 2x\n <unfinished ...>\n<... write resumed>) = 2\n"}) {
    const Workload w = read(before + call + after);
    EXPECT_TRUE(w.not_understood.empty()) << call << w.not_understood[0].first;
    EXPECT_EQ(w.phases[0].steps.size(), 4u) << call;
  }
}

TEST_F(StraceForms, ATaskMayLoseItsPrefixBeforeItsCallReturns) {
  const std::string text =
      "clone(child_stack=NULL, flags=SIGCHLD) = 21\nstrace: Process 21 attached\n"
      "[pid 20] mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n"
      "[pid 21] exit_group(0) = ?\n[pid 21] +++ exited with 0 +++\n"
      "<... mmap resumed>) = 0x7f0000000000\n";
  EXPECT_TRUE(read(text).not_understood.empty());
  EXPECT_EQ(ops(text),
            (Texts{"spawn 20", "fork 20 21", "exit 21", "mmap 20 0x7f0000000000+0x1000 r"}));
}

TEST_F(StraceForms, AThreadThatExecutesAProgramTakesTheProcessesNumber) {
  const std::string before =
      "5 brk(NULL) = 0x555555580000\n5 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_THREAD) = 6\n";
  const Texts as = {"spawn 5", "thread 5 6", "exit 6", "exec 5"};
  for (const char* way :
       {"6 execve(\"/b/x\", [], 0x1 <unfinished ...>\n5 +++ superseded by execve in pid 6 +++\n"
        "5 <... execve resumed>) = 0\n",
        "6 execve(\"/b/x\", [], 0x1 <pid changed to 5 ...>\n"
        "5 +++ superseded by execve in pid 6 +++\n5 <... execve resumed>) = 0\n",
        "6 execve(\"/b/x\", [], 0x1 <pid changed to 5 ...>\n5 <... execve resumed>) = 0\n"}) {
    EXPECT_EQ(ops(before + way), as) << way;
    EXPECT_TRUE(read(before + way).not_understood.empty()) << way;
  }
}

TEST_F(StraceForms, NamesOfPidNamespacesAreTranslatedOrFound) {
  const std::string brk = "500 brk(NULL) = 0x555555580000\n";
  for (const char* way :
       {"500 clone(flags=SIGCHLD) = 2 /* 501 in strace's PID NS */\n501 getpid() = 2\n"
        "501 +++ exited with 0 +++\n500 wait4(-1, NULL, 0, NULL) = 2 /* 501 in strace's PID NS "
        "*/\n",
        "500<a b> clone(flags=SIGCHLD) = 2<a]> /* 501 in strace's PID NS */\n501<a]> getpid() = 2\n"
        "501<a]> +++ exited with 0 +++\n500<a b> waitid(P_ALL, 0, {si_signo=SIGCHLD, "
        "si_pid=2<a> /* 501 in strace's PID NS */, si_uid=0}, WEXITED, NULL) = 0\n",
        "500 clone(flags=SIGCHLD) = 2\n501 +++ exited with 0 +++\n500 wait4(-1, NULL, 0, NULL) = "
        "2\n"}) {
    EXPECT_EQ(ops(brk + way), (Texts{"spawn 500", "fork 500 501", "exit 501", "wait 500 501"}))
        << way;
  }
  // What a task says of itself comes before the order.
  EXPECT_EQ(ops(brk + "500 clone(flags=SIGCHLD) = 2\n500 clone(flags=CLONE_VM) = 3\n"
                      "502 gettid() = 3\n501 gettid() = 2\n"),
            (Texts{"spawn 500", "fork 500 501", "thread 500 502"}));
}

TEST_F(StraceForms, ArgumentsMayHaveNamesAndOldSpellings) {
  const Texts as = {"spawn 7", "mmap 7 0x7f0000000000+0x1000 r file 1"};
  for (const char* call :
       {"mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x26000)",
        "mmap(addr=NULL, length=4096, prot=PROT_READ, flags=MAP_PRIVATE, fd=3, offset=0x26000)",
        "mmap2(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x26000)",
        "mmap2(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x26)",
        "old_mmap({NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x26000})",
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3</a/b->, 0x26000)",
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3</dev/x<char 1:3>>, 0x26000)",
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3<UNIX:[7->8,\"/a>]\"]>, 0x26000)"}) {
    const std::string text = std::string("7 ") + call + " = 0x7f0000000000\n";
    EXPECT_EQ(ops(text), as) << call;
    EXPECT_EQ(read(text).phases[0].steps[1].op.file_offset, 0x26000u) << call;
  }
}

}  // namespace
}  // namespace kpksim::workload
