// --set and kpksim config: a value that is set is as if the document said it, and what a run
// depends on can be written down and run again.

#include "sim/base/setting.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/cpu/profile.h"
#include "tests/command_line.h"

namespace kpksim::test {
namespace {

using nlohmann::json;

class Settings : public CommandLine {
 protected:
  Settings() { write("small.json", kSmallWorkload); }

  // The document of a run with `options`.
  json document(const std::string& options) {
    EXPECT_EQ(run("run -q -f json " + options), 0) << message_;
    return json::parse(printed());
  }
  json total(const std::string& options) { return document(options)["runs"][0]["total"]; }
  // The message that a run with `options` ends with.
  std::string refusal(const std::string& options) {
    EXPECT_EQ(run("run -q " + options + " small.json"), 2);
    EXPECT_EQ(printed(), "");
    return message_;
  }
};

TEST_F(Settings, OfACore_AreWhatItsProfileWouldSay) {
  json core = json::parse(read(source_path("profiles/cores/neoverse-v1.json")));
  core["cycles"]["isb"]["value"] = 30;
  core["cycles"]["isb"]["range"] = {30, 30};
  write("core.json", core.dump());
  const json usual = total("small.json");
  const json set = total("--beyond-ranges --set core:/cycles/isb=30 small.json");
  EXPECT_EQ(set, total("--core core.json small.json"));
  EXPECT_NE(set, usual);
}

TEST_F(Settings, OfACore_MayNameAGroupsNumberByItsParts) {
  EXPECT_EQ(run("run -q --set core:/tlb/l2/sets=256 -f json small.json"), 0) << message_;
  const std::string by_parts = printed();
  EXPECT_EQ(run("run -q --set core:/tlb/l2_sets/value=256 -f json small.json"), 0) << message_;
  EXPECT_EQ(by_parts, printed());
}

TEST_F(Settings, OfAPolicy_AreWhatItsTextWouldSay) {
  EXPECT_EQ(document("-p kpkeys-poe+lazy,pba,block --set policy:/allocator/reserve=8 "
                     "--set policy:/allocator/orders=9/4 --set policy:/window=entry small.json"),
            document("-p kpkeys-poe+entry,pba:reserve=8:orders=9/4,block small.json"));
}

TEST_F(Settings, OfAWorkload_AreWhatItsFileWouldSay) {
  json larger = json::parse(kSmallWorkload);
  larger["phases"][0]["ops"][1]["size"] = "3M";
  const json set = total("--set workload:/phases/0/ops/1/size=3M small.json");
  write("larger.json", larger.dump());
  EXPECT_EQ(set, total("larger.json"));
  EXPECT_NE(set, total("small.json"));
}

TEST_F(Settings, OfAKernelAndTheMachine_AreWhatOptionsAndProfilesWouldSay) {
  EXPECT_EQ(document("--set machine:/cores=2 --set machine:/memory=4G --set machine:/hz=250 "
                     "small.json"),
            document("--cores 2 --memory 4G --hz 250 small.json"));
  // A program's pages of files come by faults around, which this kernel has not.
  write("file.json", R"({"name":"file","phases":[{"name":"all","ops":[
    {"op":"spawn","task":"p"},
    {"op":"touch","task":"p","region":"@text","access":"execute"}]}]})");
  EXPECT_NE(total("file.json"), total("--set kernel:/behaviour/fault_around_pages=1 file.json"));
}

TEST_F(Settings, ThatMatchNothing_AreRefusedWithTheNearestName) {
  const std::pair<const char*, const char*> cases[] = {
      {"core:/tlb/l2_set=64", "did you mean 'l2_sets'?"},
      {"core:/tlbs/l2_sets=64", "did you mean 'tlb'?"},
      {"kernel:/behaviour/guard_page=true", "did you mean 'guard_pages'?"},
      {"policy:/alocator=pba", "did you mean 'allocator'?"},
      {"machine:/core=2", "did you mean 'cores'?"},
      {"workload:/phase/0/ops/1/size=2M", "did you mean 'phases'?"},
      {"workload:/phases/0/ops/1/sise=2M", "did you mean 'size'?"},
      {"workload:/phases/7/name=x", "a list of 1, counted from 0"},
      {"cor:/tlb/l2_sets=64", "did you mean 'core'?"},
      {"core:tlb/l2_sets=64", "begins with '/'"},
      {"core:/tlb/l2_sets", "expected DOCUMENT:/POINTER=VALUE"},
  };
  for (const auto& [setting, hint] : cases) {
    const std::string message = refusal(std::string("--set ") + setting);
    EXPECT_NE(message.find(hint), std::string::npos) << setting << ": " << message;
    EXPECT_NE(message.find(std::string("--set ") + setting), std::string::npos) << message;
  }
  EXPECT_NE(refusal("-p kpkeys-poe+lazy,pba,block --set policy:/allocator/reserv=8")
                .find("did you mean 'reserve'?"),
            std::string::npos);
}

TEST_F(Settings, AreHeldToWhatTheDocumentMaySay) {
  EXPECT_NE(
      refusal("--set core:/core/window=0").find("/core/window/value: expected a whole number"),
      std::string::npos);
  EXPECT_NE(message_.find("with --set core:/core/window=0"), std::string::npos);
  EXPECT_NE(refusal("--set workload:/phases/0/ops/1/size=3").find("not a multiple of 4K"),
            std::string::npos);
  EXPECT_NE(message_.find("with --set workload:/phases/0/ops/1/size=3"), std::string::npos);
  refusal("-p kpkeys-poe+lazy,pba,block --set policy:/allocator=buddy --set policy:/linear_map=x");
  refusal("--set machine:/cores=0");
}

TEST_F(Settings, OutsideANumbersRange_AreRefusedUnlessSaidSo) {
  EXPECT_NE(refusal("--set core:/cycles/isb=100000").find("--beyond-ranges allows it"),
            std::string::npos);
  EXPECT_EQ(run("run -q --beyond-ranges --set core:/cycles/isb=100000 small.json"), 0) << message_;
}

TEST_F(Settings, AreNotDrawn) {
  const auto isb = [](std::uint64_t seed, const std::vector<Setting>& settings) {
    ProfileReader in(source_path("profiles/cores/neoverse-v1.json"), cpu::kCoreRanges);
    in.set(settings, false);
    in.draw(seed);
    return cpu::read_core_profile(std::move(in))
        .millicycles[static_cast<std::size_t>(cpu::Event::kIsb)];
  };
  EXPECT_NE(isb(1, {}), isb(2, {}));
  for (const std::uint64_t seed : {1, 2, 3}) {
    EXPECT_EQ(isb(seed, {parse_setting("core:/cycles/isb=30")}), 30'000u);
  }
}

TEST_F(Settings, KernelDataIsPartOfAConfiguration) {
  ASSERT_EQ(run("config --kernel-data=1M -o c.json small.json"), 0) << message_;
  EXPECT_EQ(json::parse(read(file("c.json")))["machine"]["kernel_data"], "1M");
  EXPECT_EQ(document("--config c.json"), document("--kernel-data=1M small.json"));
  EXPECT_EQ(document("--set machine:/kernel_data=1M small.json"),
            document("--kernel-data=1M small.json"));
  EXPECT_EQ(document("--config c.json --set machine:/kernel_data=workload"),
            document("small.json"));
  EXPECT_NE(total("small.json"), total("--kernel-data=1M small.json"));
  EXPECT_NE(refusal("--set machine:/kernel_data=many").find("machine:/kernel_data=many"),
            std::string::npos);
}

TEST_F(Settings, CompareRunsAConfigurationUnderOtherPolicies) {
  ASSERT_EQ(run("config -p kpkeys-poe,pba,block --set core:/cycles/isb=30 --memory 1G -o c.json "
                "small.json"),
            0)
      << message_;
  const auto compared = [&](const std::string& options) {
    EXPECT_EQ(run("compare -q -f json " + options), 0) << message_;
    return json::parse(printed());
  };
  const std::string same = "--set core:/cycles/isb=30 --memory 1G small.json";
  EXPECT_EQ(compared("--config c.json"), compared("-p kpkeys-poe,pba,block " + same));
  const std::string two = "-p none,buddy,pte -p kpkeys-poe+lazy,pba,block ";
  EXPECT_EQ(compared(two + "--config c.json"), compared(two + same));
  EXPECT_EQ(run("run -q -p none,buddy,pte --config c.json"), 2);
  EXPECT_NE(message_.find("--policy: a configuration says that already"), std::string::npos);
  EXPECT_EQ(run("compare -q --cores 2 --config c.json"), 2);
}

TEST_F(Settings, OfARecordingAreRefused) {
  EXPECT_EQ(run("run -q --set workload:/seed=2 compile"), 2);
  EXPECT_NE(message_.find("which has no settings"), std::string::npos) << message_;
}

TEST_F(Settings, AConfigurationRunsToTheSameBytes) {
  for (const std::string options :
       {"small.json", "-p kpkeys-poe+lazy,pba:reserve=8,block --hz 250 --cores 2 small.json",
        "--set core:/tlb/l2_sets=256 --set workload:/phases/0/ops/1/size=2M --set machine:/hz=100 "
        "--set policy:/protection/series=v9 -m 4G small.json",
        "--kernel linux-6.12 fork-exec-server"}) {
    ASSERT_EQ(run("run -q -f json " + options), 0) << message_;
    const std::string first = printed();
    ASSERT_EQ(run("config -o c.json " + options), 0) << message_;
    ASSERT_EQ(run("run -q -f json --config c.json"), 0) << message_;
    EXPECT_EQ(printed(), first) << options;
    // And it is its own configuration, but for what says where values are from.
    ASSERT_EQ(run("config --config c.json"), 0) << message_;
    json again = json::parse(printed()), before = json::parse(read(file("c.json")));
    again.erase("origins");
    before.erase("origins");
    EXPECT_EQ(again, before);
  }
}

TEST_F(Settings, AConfigurationSaysWhereValuesAreFrom) {
  ASSERT_EQ(run("config --cores 2 --set core:/tlb/l2_sets=256 -p kpkeys-poe+lazy,pba,block "
                "--set policy:/allocator/reserve=8 small.json"),
            0)
      << message_;
  const json config = json::parse(printed());
  EXPECT_EQ(config["origins"]["/machine/cores"], "--cores");
  EXPECT_EQ(config["origins"]["/machine/hz"], "default of --hz");
  EXPECT_EQ(config["origins"]["/policy/allocator/reserve"], "--set policy:/allocator/reserve=8");
  EXPECT_EQ(config["origins"]["/parameters/allocator/orders"], "default of allocator 'pba'");
  EXPECT_EQ(config["core"]["tlb"]["l2_sets"]["source"], "--set core:/tlb/l2_sets=256");
  EXPECT_EQ(config["core"]["tlb"]["l2_sets"]["value"], 256);
}

TEST_F(Settings, AConfigurationIsChecked) {
  ASSERT_EQ(run("config -o c.json small.json"), 0) << message_;
  const json good = json::parse(read(file("c.json")));
  const auto message = [&](const json& config) {
    write("bad.json", config.dump(1));
    EXPECT_EQ(run("run -q --config bad.json"), 2);
    return message_;
  };
  json bad = good;
  bad["machin"] = 1;
  EXPECT_NE(message(bad).find("did you mean 'machine'?"), std::string::npos) << message_;
  bad = good;
  bad["core"]["core"]["window"]["value"] = 0;
  EXPECT_NE(message(bad).find("/core/core/window/value: expected"), std::string::npos) << message_;
  bad = good;
  bad["workload"]["document"]["phases"][0]["ops"][1]["size"] = 3;
  EXPECT_NE(message(bad).find("/workload/document/phases/0/ops/1"), std::string::npos) << message_;
  bad = good;
  bad["parameters"]["protection"]["series"] = "v1";
  EXPECT_NE(message(bad).find("/parameters"), std::string::npos) << message_;
  EXPECT_EQ(run("run -q --config c.json --cores 2"), 2);
  EXPECT_NE(message_.find("--set changes it"), std::string::npos) << message_;
  EXPECT_EQ(run("run -q --config c.json small.json"), 2);
  EXPECT_EQ(run("run -q -f json --config c.json --set machine:/cores=2"), 0) << message_;
  EXPECT_EQ(json::parse(printed())["runs"][0]["configuration"]["cores"], 2);
}

}  // namespace
}  // namespace kpksim::test
