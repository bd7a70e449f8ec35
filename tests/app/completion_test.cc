// kpksim completion and kpksim man say what the program itself reads.

#include <gtest/gtest.h>

#include <set>

#include "tests/command_line.h"

namespace kpksim::test {
namespace {

class Completion : public CommandLine {
 protected:
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  // What bash offers at the end of this line.
  std::vector<std::string> in_bash(const std::string& line) {
    write("ask.bash",
          "PATH=$PWD/bin:$PATH\nsource <(kpksim completion bash)\n"
          "COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:'\n"
          "COMP_LINE='kpksim " +
              line + "'\nCOMP_POINT=${#COMP_LINE}\n_kpksim\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
    EXPECT_EQ(shell("mkdir -p bin && ln -sf \"$KPKSIM\" bin/kpksim && bash ask.bash"), 0)
        << message_;
    return lines(printed());
  }
  static bool has(const std::vector<std::string>& offered, const std::string& word) {
    return std::find(offered.begin(), offered.end(), word) != offered.end();
  }
  using Words = std::vector<std::string>;
};

TEST_F(Completion, BashOffersCommandsTheirPartsOptionsAndNames) {
  EXPECT_EQ(in_bash("comp"), (Words{"compare", "completion"}));
  EXPECT_EQ(in_bash("validate pu"), Words{"published"});
  EXPECT_EQ(in_bash("compare --unc"), Words{"--uncertainty"});
  EXPECT_EQ(in_bash("sweep best --b"), Words{"--by"});
  EXPECT_EQ(in_bash("plot r.json --kind he"), Words{"heatmap"});
  EXPECT_EQ(in_bash("help trans"), Words{"translate"});
  EXPECT_TRUE(has(in_bash("run pba-re"), "pba-refill-race"));
  EXPECT_TRUE(has(in_bash("run thp -p none,buddy,pte --kernel linux-6.1"), "linux-6.17"));
}

TEST_F(Completion, BashReplacesWhatStandsBehindTheLastSignThatCutsWords) {
  EXPECT_TRUE(has(in_bash("run --core=neoverse-n"), "neoverse-n1"));
  EXPECT_TRUE(has(in_bash("run -p kpkeys-poe,pba:shrink=r"), "runs"));
  EXPECT_TRUE(has(in_bash("run --set core:/tlb/l2_w"), "/tlb/l2_ways="));
}

TEST_F(Completion, APolicyIsCompletedPartByPartWithWhatGoesTogether) {
  const auto protections = in_bash("run -p kpkeys-poe");
  EXPECT_TRUE(has(protections, "kpkeys-poe+lazy,"));
  const auto maps = in_bash("run -p kpkeys-poe+lazy,pba,");
  EXPECT_TRUE(has(maps, "kpkeys-poe+lazy,pba,block"));
  // An allocator that keys pages is not offered where nothing has keys.
  for (const std::string& word : in_bash("run -p none,")) {
    EXPECT_EQ(run("run -q -p " + word + "pte thp -o r.json"), 0) << word << message_;
  }
  EXPECT_TRUE(has(in_bash("run -p kpkeys-poe,pba,block,"), "kpkeys-poe,pba,block,broadcast"));
}

TEST_F(Completion, NamesOfFilesAreOfferedWhereAFileFits) {
  write("results-of-mine.json", "{}");
  EXPECT_TRUE(has(in_bash("report results-of"), "results-of-mine.json"));
  EXPECT_FALSE(has(in_bash("list results-of"), "results-of-mine.json"));
  EXPECT_FALSE(has(in_bash("run --cores results-of"), "results-of-mine.json"));
}

TEST_F(Completion, EveryNameThatListPrintsIsOffered) {
  for (const auto& [what, line] : std::vector<std::pair<std::string, std::string>>{
           {"cores", "completion next run --core ''"},
           {"kernels", "completion next run --kernel ''"},
           {"workloads", "completion next run ''"},
           {"attacks", "completion next attack ''"}}) {
    ASSERT_EQ(run("list " + what), 0);
    std::set<std::string> listed;
    for (const std::string& text : lines(printed())) {
      std::string name;
      std::istringstream(text) >> name;
      listed.insert(name);
    }
    ASSERT_EQ(run(line), 0);
    const auto offered = lines(printed());
    ASSERT_GT(listed.size(), 2u);
    for (const std::string& name : listed) EXPECT_TRUE(has(offered, name)) << what << " " << name;
  }
}

TEST_F(Completion, FishAndZshTakeTheirScripts) {
  ASSERT_EQ(run("completion zsh >kpksim.zsh"), 0);
  ASSERT_EQ(run("completion fish >kpksim.fish"), 0);
  if (shell("command -v zsh") == 0) {
    EXPECT_EQ(shell("zsh -n kpksim.zsh"), 0) << message_;
  }
  if (shell("command -v fish") != 0) return;
  ASSERT_EQ(
      shell(
          "mkdir -p bin && ln -sf \"$KPKSIM\" bin/kpksim && PATH=$PWD/bin:$PATH HOME=$PWD fish -c "
          "'source kpksim.fish; complete -C \"kpksim run --core neoverse-n\"; complete -C \"kpksim "
          "run --core=neoverse-n\"; complete -C \"kpksim valid\"'"),
      0)
      << message_;
  const auto offered = lines(printed());
  ASSERT_EQ(offered.size(), 3u) << printed();
  EXPECT_EQ(offered.at(0), "neoverse-n1");
  EXPECT_EQ(offered.at(1), "--core=neoverse-n1");
  EXPECT_EQ(offered.at(2).substr(0, 9), "validate\t");
}

TEST_F(Completion, AShellThatIsNoneIsRefusedWithTheNearest) {
  EXPECT_EQ(run("completion bsh"), 2);
  EXPECT_NE(message_.find("did you mean 'bash'?"), std::string::npos) << message_;
}

using Manual = Completion;

TEST_F(Manual, HasEveryOptionOfEveryCommand) {
  ASSERT_EQ(run("man >kpksim.1"), 0);
  const std::string page = read(file("kpksim.1"));
  ASSERT_EQ(run("completion next ''"), 0);
  std::size_t seen = 0;
  for (const std::string& line : lines(printed())) {
    const std::string command = line.substr(0, line.find('\t'));
    if (command == "help" || command.starts_with("-")) continue;
    EXPECT_NE(page.find("\\fBkpksim " + command + "\\fR"), std::string::npos) << command;
    ASSERT_EQ(run(command + " --help"), 0);
    std::istringstream words(printed());
    for (std::string word; words >> word;) {
      if (!word.starts_with("--") || word == "--help" ||
          word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") != std::string::npos)
        continue;
      std::string escaped;
      for (const char c : word) escaped += c == '-' ? std::string("\\-") : std::string(1, c);
      EXPECT_NE(page.find(escaped), std::string::npos) << command << " " << word;
      ++seen;
    }
  }
  EXPECT_GT(seen, 100u);
}

TEST_F(Manual, IsRoffThatMandocAndGroffTake) {
  ASSERT_EQ(run("man >kpksim.1"), 0);
  const bool mandoc = shell("command -v mandoc") == 0, groff = shell("command -v groff") == 0;
  if (!mandoc && !groff) GTEST_SKIP() << "neither mandoc nor groff";
  if (mandoc) {
    EXPECT_EQ(shell("mandoc -Tlint -Wwarning kpksim.1"), 0) << printed() << message_;
  }
  if (groff) {
    EXPECT_EQ(shell("groff -man -ww -Tutf8 kpksim.1 >page"), 0);
    EXPECT_EQ(message_, "");
  }
}

}  // namespace
}  // namespace kpksim::test
