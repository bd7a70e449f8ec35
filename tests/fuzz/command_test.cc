// kpksim fuzz, as a user runs it.

#include "tests/command_line.h"

namespace kpksim {
namespace {

class FuzzCommand : public test::CommandLine {};

TEST_F(FuzzCommand, WritesWhatRunReproduces) {
  const std::string fuzz =
      "fuzz --programs 100 -p none,buddy,pte --core neoverse-v1 --inject skip:tlbi.unmap "
      "--findings 1 -o out-folder";
  EXPECT_EQ(run(fuzz), 1) << message_;
  const std::string text = printed();
  const std::size_t line = text.rfind("    kpksim run ");
  ASSERT_NE(line, std::string::npos) << text;
  const std::string command = text.substr(line + 11, text.find('\n', line) - line - 11);
  EXPECT_EQ(run(command), 1) << command << "\n" << message_;
  EXPECT_NE(printed().find("table-freed"), std::string::npos) << printed();
  const std::string file = command.substr(command.rfind(' ') + 1);
  const std::string program = read((folder_ / file).string());
  EXPECT_NE(program.find("made smaller: table-freed"), std::string::npos) << program;
  // Without the fault there is nothing.
  EXPECT_EQ(run("run --check -p none,buddy,pte --memory 1G " + file), 0) << printed();
  // And once more the same.
  EXPECT_EQ(run(fuzz), 1);
  EXPECT_EQ(printed(), text);
  EXPECT_EQ(read((folder_ / file).string()), program);
}

TEST_F(FuzzCommand, SaysThatNothingIsWrong) {
  EXPECT_EQ(run("fuzz --seconds 1 -p none,buddy,pte --core neoverse-v1 -q"), 0) << printed();
  EXPECT_NE(printed().find("seed 1, 1 place on 1 core profile: nothing is wrong"),
            std::string::npos)
      << printed();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "fuzz-findings"));
}

TEST_F(FuzzCommand, BadInputIsRefusedWithTheNearestName) {
  const auto refused = [&](const std::string& arguments, const std::string& near) {
    EXPECT_EQ(run("fuzz --programs 5 " + arguments), 2) << arguments;
    EXPECT_NE(message_.find(near), std::string::npos) << message_;
  };
  refused("--inject skip:tlbi.unmpa", "tlbi.unmap");
  refused("-p kpkeys-poe,per-pag,pte", "did you mean 'per-page'");
  refused("--core neoverse-v9", "neoverse-v");
  refused("--kernel linux-6.12-kpkey", "linux-6.12-kpkeys");
  refused("--sed 3", "--seed");
  refused("--seed -1", "--seed");
  refused("-p kpkeys-pks,per-page,pte --core neoverse-v1", "--policy");
}

TEST_F(FuzzCommand, AFolderThatCannotBeMadeIsAnErrorOfOutput) {
  write("taken", "");
  EXPECT_EQ(run("fuzz --programs 5 -p none,buddy,pte --core neoverse-v1 --inject skip:tlbi.unmap "
                "-o taken/inside"),
            3);
  EXPECT_NE(message_.find("taken/inside"), std::string::npos) << message_;
}

}  // namespace
}  // namespace kpksim
