// An installed kpksim: a prefix of its own, moved, with nothing of the checkout in reach.

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/paths.h"
#include "tests/sanitized.h"

namespace {

namespace fs = std::filesystem;
using kpksim::test::kAddressSanitizer;
using kpksim::test::source_path;

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class Install : public testing::Test {
 protected:
  // Installed by the first test: it is the same for each, and none writes there. In SetUp(), as a
  // test fails whose SetUp() does, and is only skipped if SetUpTestSuite() fails.
  void SetUp() override {
    if (!folder_.empty()) {
      ASSERT_TRUE(fs::exists(folder_ / "moved")) << "the first test could not install";
      return;
    }
    std::string name = (fs::temp_directory_path() / "kpksim install XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    ASSERT_EQ(shell(kpksim::test::cmake_install(folder_ / "first") + " >'" +
                    (folder_ / "out").string() + "' 2>&1"),
              0)
        << read(folder_ / "out");
    fs::rename(folder_ / "first", folder_ / "moved");
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static int shell(const std::string& command) { return std::system(command.c_str()); }

  // From a folder without any files, with nothing in the environment but PATH.
  static int run(const std::string& arguments) {
    fs::create_directories(folder_ / "elsewhere");
    return shell("cd '" + (folder_ / "elsewhere").string() + "' && env -i PATH=\"$PATH\" '" +
                 (folder_ / "moved/bin/kpksim").string() + "' " + arguments + " >'" +
                 (folder_ / "out").string() + "' 2>&1");
  }
  static std::string output() { return read(folder_ / "out"); }

  static fs::path folder_;
};
fs::path Install::folder_;

TEST_F(Install, TheProgramNamesNoFileOfTheCheckout) {
  if (kAddressSanitizer) GTEST_SKIP() << "sanitizers name the sources in their reports";
  const std::string program = read(folder_ / "moved/bin/kpksim");
  ASSERT_GT(program.size(), 100'000u);
  EXPECT_EQ(program.find(source_path("")), std::string::npos);
}

TEST_F(Install, ListsWhatTheCheckoutShips) {
  for (const char* folder : {"profiles/cores", "profiles/kernels", "workloads"}) {
    for (const auto& entry : fs::directory_iterator(source_path(folder))) {
      if (entry.path().extension() != ".json") continue;
      const fs::path installed = folder_ / "moved/share/kpksim" / folder / entry.path().filename();
      EXPECT_EQ(read(installed), read(entry.path())) << installed;
    }
  }
  EXPECT_EQ(run("list workloads"), 0) << output();
  EXPECT_NE(output().find("postgres"), std::string::npos) << output();
}

TEST_F(Install, RunsAWorkloadAndARecording) {
  EXPECT_EQ(run("run -p none,buddy,pte mixed"), 0) << output();
  EXPECT_EQ(run("run -p none,buddy,pte compile"), 0) << output();
}

TEST_F(Install, WritesWhatTheBuildTreeWrites) {
  for (const char* workload : {"thp", "compile"}) {
    const std::string arguments = fmt::format("run -p none,buddy,pte -f json {}", workload);
    EXPECT_EQ(run(arguments), 0) << output();
    const std::string installed = output();
    EXPECT_NE(installed.find("\"source\": \"shipped:"), std::string::npos);
    EXPECT_EQ(shell(fmt::format("{} {} >'{}' 2>&1", kpksim::test::kpksim_binary(), arguments,
                                (folder_ / "out").string())),
              0);
    EXPECT_EQ(installed, output());
  }
}

TEST_F(Install, ValidatesAgainstTheCountsThatItShips) {
  EXPECT_EQ(run("validate kernel --phase fork_64m --max-off 1000"), 0) << output();
  EXPECT_NE(output().find(" counts exact, "), std::string::npos) << output();
  EXPECT_EQ(run("validate apps --program shell_loop --max-off 1000"), 0) << output();
}

TEST_F(Install, ReportsAreMadeOfTheInstalledTemplateAndLibrary) {
  ASSERT_EQ(run("run -q -p none,buddy,pte -o result.json thp"), 0) << output();
  ASSERT_EQ(run("report result.json -o report.html"), 0) << output();
  EXPECT_NE(read(folder_ / "elsewhere/report.html").find("plotly.js (basic"), std::string::npos);
}

TEST_F(Install, TheManualAndCompletionAreThoseOfTheProgram) {
  for (const auto& [place, command] : std::vector<std::pair<std::string, std::string>>{
           {"share/man/man1/kpksim.1", "man"},
           {"share/bash-completion/completions/kpksim", "completion bash"},
           {"share/zsh/vendor-completions/_kpksim", "completion zsh"},
           {"share/fish/vendor_completions.d/kpksim.fish", "completion fish"}}) {
    ASSERT_EQ(run(command), 0) << output();
    ASSERT_GT(output().size(), 500u);
    EXPECT_EQ(read(folder_ / "moved" / place), output()) << place;
  }
}

}  // namespace
