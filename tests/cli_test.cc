// The command line as a user meets it: same bytes twice, and bad input that leaves nothing behind.

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;

class CommandLine : public testing::Test {
 protected:
  CommandLine()
      : folder_(fs::path(testing::TempDir()) /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::create_directories(folder_);
  }
  ~CommandLine() override { fs::remove_all(folder_); }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name), std::ios::binary) << text;
    return file(name);
  }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  // Exit status; what was printed on stderr is in message_.
  int run(const std::string& arguments) {
    const std::string command =
        std::string(KPKSIM_BINARY) + " " + arguments + " >" + file("out") + " 2>" + file("err");
    const int status = std::system(command.c_str());
    message_ = read(file("err"));
    return WEXITSTATUS(status);
  }

  fs::path folder_;
  std::string message_;
};

constexpr const char* kSmall = R"({"name":"small","phases":[{"name":"all","ops":[
  {"op":"spawn","task":"p"},
  {"op":"mmap","task":"p","region":"h","size":"1M","prot":"rw"},
  {"op":"touch","task":"p","region":"h","access":"write"},
  {"op":"fork","task":"p","child":"c"},
  {"op":"exit","task":"c"},
  {"op":"munmap","task":"p","region":"h"}]}]})";

TEST_F(CommandLine, TheSameRunTwiceGivesTheSameBytes) {
  const std::string workload = write("w.json", kSmall);
  ASSERT_EQ(run("compare --memory 1G -o " + file("a.json") + " " + workload), 0) << message_;
  ASSERT_EQ(run("compare --memory 1G -o " + file("b.json") + " " + workload), 0) << message_;
  EXPECT_GT(read(file("a.json")).size(), 1000u);
  EXPECT_EQ(read(file("a.json")), read(file("b.json")));
}

TEST_F(CommandLine, MalformedJsonNamesLineAndColumnAndLeavesNoOutput) {
  const std::string workload = write("w.json", "{\n  \"name\": ,\n}");
  EXPECT_EQ(run("run -o " + file("out.json") + " " + workload), 2);
  EXPECT_NE(message_.find("w.json:2:"), std::string::npos) << message_;
  EXPECT_FALSE(fs::exists(file("out.json")));
  EXPECT_FALSE(fs::exists(file("out.json.tmp")));
}

TEST_F(CommandLine, UnknownPolicyGetsTheNearestName) {
  const std::string workload = write("w.json", kSmall);
  EXPECT_EQ(run("run -p kpkeys-po,pba,block " + workload), 2);
  EXPECT_NE(message_.find("kpkeys-poe"), std::string::npos) << message_;
}

TEST_F(CommandLine, UnknownCommandAndMissingFileExitWithTwo) {
  EXPECT_EQ(run("compair"), 2);
  EXPECT_NE(message_.find("'compare'"), std::string::npos) << message_;
  EXPECT_EQ(run("run " + file("nowhere.json")), 2);
  EXPECT_NE(message_.find("nowhere.json"), std::string::npos) << message_;
}

}  // namespace
