// Kernel profiles that are based on others.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"
#include "tests/scratch.h"

namespace kpksim::kernel {
namespace {

namespace fs = std::filesystem;

const std::string kShipped = kpksim::test::source_path("profiles/kernels");

class BasedProfile : public testing::Test {
 protected:
  BasedProfile()
      : folder_(kpksim::test::scratch_folder() /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::create_directories(folder_);
  }
  ~BasedProfile() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& base,
                    const std::string& rest = "{}") const {
    const std::string path = (folder_ / (name + ".json")).string();
    std::ofstream(path) << R"({"name":")" << name << R"(","base":)" << base << R"(,"path":)" << rest
                        << "}";
    return path;
  }
  static std::string message(const std::string& path, const std::string& bases = kShipped) {
    try {
      read_kernel_profile(path, bases);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  }

  fs::path folder_;
};

const ProfileEntry& entry(const KernelProfile& profile, const std::string& name) {
  return *std::find_if(profile.entries.begin(), profile.entries.end(),
                       [&](const ProfileEntry& e) { return e.name == name; });
}

TEST_F(BasedProfile, HasTheBasesNumbersButItsOwn) {
  const std::string own = R"({"fork": {"value": 7, "source": "here", "confidence": "estimated"}})";
  const KernelProfile base = read_kernel_profile(kShipped + "/linux-6.12.json");
  const KernelProfile based = read_kernel_profile(write("mine", R"("linux-6.12")", own), kShipped);
  EXPECT_EQ(based.name, "mine");
  EXPECT_EQ(based.path.fork, 7u);
  EXPECT_EQ(entry(based, "fork").source, "here");
  EXPECT_EQ(based.path.thread, base.path.thread);
  EXPECT_EQ(entry(based, "thread").source, "as linux-6.12: " + entry(base, "thread").source);
  EXPECT_EQ(based.entries.size(), base.entries.size());
}

TEST_F(BasedProfile, TheBasesBaseComesLast) {
  const KernelProfile first = read_kernel_profile(kShipped + "/linux-6.12.json");
  const KernelProfile port = read_kernel_profile(kShipped + "/linux-6.12-port-6.16.json");
  const KernelProfile last = read_kernel_profile(kShipped + "/linux-6.17.json");
  EXPECT_NE(port.path.fork, first.path.fork);
  EXPECT_EQ(last.path.fork, port.path.fork);
  EXPECT_EQ(last.path.stat, first.path.stat);
  EXPECT_TRUE(last.kernel_range_tlbi);
  // What was measured is the port, in which kernel ranges are flushed as in 6.12.
  EXPECT_FALSE(port.kernel_range_tlbi);
}

TEST_F(BasedProfile, ABaseThatIsNoneIsNamed) {
  const auto expect = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const std::string wrong = write("mine", R"("linux-6.18")");
  EXPECT_EQ(message(wrong).find(wrong + ":"), 0u);
  expect(message(wrong), "/base: 'linux-6.18' is not a profile");
  expect(message(wrong), "'linux-6.12'");
  expect(message(write("mine", "3")), "/base: expected the name of a profile, found 3");
  write("other", R"("mine")");
  expect(message(write("mine", R"("other")"), folder_.string()),
         "/base: 'mine' is based on this profile");
}

TEST_F(BasedProfile, AMistakeInTheBaseNamesTheBasesFile) {
  write("other", R"("linux-6.12")", R"({"fork": {"value": -1, "source": "", "confidence": ""}})");
  fs::copy(kShipped + "/linux-6.12.json", folder_);
  const std::string said = message(write("mine", R"("other")"), folder_.string());
  EXPECT_EQ(said.find((folder_ / "other.json").string() + ":"), 0u) << said;
  EXPECT_NE(said.find("/path/fork"), std::string::npos) << said;
}

}  // namespace
}  // namespace kpksim::kernel
