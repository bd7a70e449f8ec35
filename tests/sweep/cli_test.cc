// kpksim sweep as it is used.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/command_line.h"

namespace kpksim::test {
namespace {

using nlohmann::json;

class Sweep : public CommandLine {
 protected:
  Sweep() {
    write("small.json", kSmallWorkload);
    write("s.json", R"({"name":"s",
      "base":{"workload":"small.json","policy":"kpkeys-poe+lazy,pba,block","set":{"machine:/memory":"1G"}},
      "space":[{"grid":{"policy":["none,buddy,pte","kpkeys-poe,per-page,pte","kpkeys-poe+lazy,pba,block"],
                        "core:/tlb/l2/sets":[256,512,1024]}},
               {"random":{"core:/cycles/isb":{"from":27,"to":35}},"points":4}]})");
  }
  std::string exported(const std::string& store, const std::string& format = "csv") {
    EXPECT_EQ(run("sweep export -f " + format + " " + store), 0) << message_;
    return printed();
  }
  std::vector<json> rows(const std::string& store) {
    std::vector<json> out;
    std::istringstream lines(exported(store, "jsonl"));
    for (std::string line; std::getline(lines, line);) out.push_back(json::parse(line));
    return out;
  }
  std::string whole() {
    EXPECT_EQ(run("sweep -q -j1 -o whole.sqlite s.json"), 0) << message_;
    return exported("whole.sqlite");
  }
  bool says(const std::string& what) const { return message_.find(what) != std::string::npos; }
};

TEST_F(Sweep, APointIsTheRunThatItSays) {
  ASSERT_EQ(run("sweep -q s.json"), 0) << message_;
  const auto all = rows("s.sqlite");
  ASSERT_EQ(all.size(), 36u);
  const json& row = all[17];
  std::string options;
  for (const auto& [key, value] : row["config"]["set"].items()) {
    options += " --set " + key + "=" + value.dump();
  }
  ASSERT_EQ(run("run -q -f json -p " + row["config"]["policy"].get<std::string>() + options +
                " small.json"),
            0)
      << message_;
  EXPECT_EQ(json::parse(printed())["runs"][0]["total"], row["totals"]);
  EXPECT_EQ(row["point"], 17);
}

TEST_F(Sweep, ResultsDoNotDependOnThreads) {
  const std::string one = whole();
  ASSERT_EQ(run("sweep -q -j4 -o four.sqlite s.json"), 0) << message_;
  EXPECT_EQ(exported("four.sqlite"), one);
}

TEST_F(Sweep, ShardsMergeToTheWholeAndClustersSayWhichTheyAre) {
  const std::string one = whole();
  ASSERT_EQ(run("sweep -q --shard 1/4 s.json"), 0) << message_;
  ASSERT_EQ(shell("SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_STEP=2 "
                  "SLURM_ARRAY_TASK_COUNT=4 \"$KPKSIM\" sweep -q s.json"),
            0)
      << message_;
  ASSERT_EQ(shell("JOB_COMPLETION_INDEX=2 JOB_COMPLETIONS=4 \"$KPKSIM\" sweep -q s.json"), 0)
      << message_;
  EXPECT_EQ(run("sweep merge -o all.sqlite s.*-of-4.sqlite"), 1);
  EXPECT_NE(printed().find("missing: 3, 7, 11"), std::string::npos) << printed();
  ASSERT_EQ(shell("OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 \"$KPKSIM\" sweep -q s.json"), 0)
      << message_;
  EXPECT_EQ(run("sweep merge -o all.sqlite s.*-of-4.sqlite"), 0) << message_;
  EXPECT_EQ(exported("all.sqlite"), one);
  EXPECT_EQ(shell("PMI_RANK=4 PMI_SIZE=4 \"$KPKSIM\" sweep -q s.json"), 2);
  EXPECT_EQ(shell("JOB_COMPLETION_INDEX=2 \"$KPKSIM\" sweep -q s.json"), 2);
  EXPECT_TRUE(says("JOB_COMPLETIONS")) << message_;
  EXPECT_EQ(run("sweep -q --shard 0/4 s.json"), 2);
  EXPECT_EQ(run("sweep -q --shard 5/4 s.json"), 2);
}

TEST_F(Sweep, ANameThatMatchesNothingIsRefusedWithTheNearest) {
  write("bad.json", R"({"name":"bad","base":{"workload":"small.json"},
    "space":[{"grid":{"core:/tlb/l2_set":[256]}}]})");
  EXPECT_EQ(run("sweep -q bad.json"), 2);
  EXPECT_TRUE(says("bad.json:2:") && says("/space/0/grid/core:~1tlb~1l2_set:") &&
              says("did you mean 'l2_sets'?"))
      << message_;
  EXPECT_FALSE(std::filesystem::exists(file("bad.sqlite")));
  write("bad.json", R"({"name":"bad","base":{"workload":"smal.json"},
    "space":[{"grid":{"core:/tlb/l2_sets":[256]}}]})");
  EXPECT_EQ(run("sweep -q bad.json"), 2);
}

TEST_F(Sweep, ANameInAGridThatNoPointTakesIsToldAtItsPlace) {
  const auto refusal = [&](const std::string& space) {
    write("bad.json", R"({"name":"bad","base":{"workload":"small.json"},
"space":[)" + space + "]}");
    EXPECT_EQ(run("sweep -q bad.json"), 2) << space;
    return message_;
  };
  const auto expect = [&](const std::string& space, const std::string& message) {
    const std::string said = refusal(space);
    EXPECT_NE(said.find(message), std::string::npos) << said;
  };
  expect(R"({"grid":{"policy":["none,buddy,pte","kpkeys-poee,per-page,pte"]}})",
         "bad.json:2:46: /space/0/grid/policy/1: ");
  expect(R"({"grid":{"policy":["none,buddy,pte","kpkeys-poee,per-page,pte"]}})",
         "did you mean 'kpkeys-poe'?");
  expect(R"({"grid":{"core":["neoverse-v1","neoverse-v9"]}})",
         "/space/0/grid/core/1: 'neoverse-v9' is neither a file nor a core profile");
  expect(R"({"grid":{"kernel":["linux-6.13-kpkeys"]}})",
         "/space/0/grid/kernel/0: 'linux-6.13-kpkeys' is neither a file nor a kernel profile; did");
  expect(R"({"grid":{"workload":["small.json","for-1g"]}})", "/space/0/grid/workload/1: 'for-1g'");
  expect(R"({"grid":{"machine:/inject":["skip:tlbi.unmap","skip:tlbi.unmmap"]}})",
         "/space/0/grid/machine:~1inject/1: ");
  expect(R"({"random":{"policy:/window":["entry","lasy"]},"points":9})",
         "/space/0/random/policy:~1window/1: ");
  expect(R"({"zip":{"machine:/cores":[1,2],"policy:/linear_map":["pte","blok"]}})",
         "/space/0/zip/policy:~1linear_map/1: ");
  // Of what other names do not allow with it, the rest is no mistake.
  write("ok.json", R"({"name":"ok","base":{"workload":"small.json"},"space":[
    {"grid":{"policy":["none,buddy,pte","kpkeys-poe+lazy,pba,block"],"policy:/allocator":["buddy","pba"]}}]})");
  EXPECT_EQ(run("sweep -q ok.json"), 0) << message_;
}

TEST_F(Sweep, APointWithKeysIsARowOfKpksimKeys) {
  write("k.json", R"({"name":"k","base":{"workload":"small.json","policy":"kpkeys-poe,pba,block",
      "classes":"linux","set":{"machine:/memory":"1G","keys:/rate":3}},"space":[
    {"grid":{"keys:/budget":[7,12]}},{"grid":{"keys:/strategy":["dedicated","optimal","virtualised"]}}]})");
  ASSERT_EQ(run("sweep -q -j2 k.json"), 0) << message_;
  const auto all = rows("k.sqlite");
  ASSERT_EQ(all.size(), 6u);
  EXPECT_EQ(all[0]["error"].get<std::string>().find("refused: 10 classes, 6 keys for them"), 0u);
  // Who shares a key is a list with commas; in CSV it is one column.
  ASSERT_EQ(run("sweep export k.sqlite"), 0) << message_;
  std::istringstream csv(printed());
  const auto columns = [](const std::string& line) {
    bool quoted = false;
    return std::count_if(line.begin(), line.end(), [&](char c) {
      quoted ^= c == '"';
      return c == ',' && !quoted;
    });
  };
  std::string head, line;
  ASSERT_TRUE(std::getline(csv, head));
  while (std::getline(csv, line)) EXPECT_EQ(columns(line), columns(head)) << line;
  ASSERT_EQ(run("keys -q -m 1G --set keys:/rate=3 -b 7,12 -s dedicated -s optimal -s virtualised "
                "-f json small.json"),
            0)
      << message_;
  const json keys = json::parse(printed());
  for (std::size_t i = 1; i < all.size(); ++i) {
    const json& row = keys["rows"][i];
    EXPECT_EQ(all[i]["totals"]["cycles"]["total"], row["cycles"]) << i;
    for (const char* name :
         {"overhead_percent", "evictions", "switches", "unneeded_bytes", "tlbi"}) {
      EXPECT_EQ(all[i]["totals"]["keys"][name], row[name]) << i << " " << name;
    }
  }
  EXPECT_NE(all[2]["totals"], all[5]["totals"]);
  // Rate and number of classes are settings as others are.
  ASSERT_EQ(run("keys -q -m 1G -b 7,12 -s dedicated -f json small.json"), 0) << message_;
  EXPECT_LT(json::parse(printed())["rows"][1]["entries"], keys["rows"][3]["entries"]);
  ASSERT_EQ(run("keys -q -m 1G --set keys:/first_classes=2 -b 4 -s dedicated -f json small.json"),
            0);
  EXPECT_EQ(json::parse(printed())["classes"].size(), 3u);
}

TEST_F(Sweep, WhatIsWrongWithKeysIsTold) {
  const auto refusal = [&](const std::string& base, const std::string& space) {
    write("bad.json", R"({"name":"bad","base":{"workload":"small.json",)" + base +
                          R"("policy":"kpkeys-poe,pba,block"},"space":[)" + space + "]}");
    EXPECT_EQ(run("sweep -q bad.json"), 2) << space;
    return message_;
  };
  const auto expect = [&](const std::string& base, const std::string& space,
                          const std::string& message) {
    const std::string said = refusal(base, space);
    EXPECT_NE(said.find(message), std::string::npos) << said;
  };
  const std::string classes = R"("classes":"linux",)";
  expect(classes, R"({"grid":{"keys:/budget":[8],"keys:/strategy":["optimal","optimall"]}})",
         "/space/0/grid/keys:~1strategy/1: keys:/strategy=\"optimall\": 'optimall' is not a "
         "strategy; did you mean 'optimal'?");
  expect(classes, R"({"grid":{"keys:/budget":[8]}})", "\"classes\" without keys:/strategy");
  expect("", R"({"grid":{"keys:/budget":[8]}})", "the point has no \"classes\"");
  expect(classes, R"({"grid":{"keys:/buget":[8]}})", "did you mean 'budget'?");
  expect(R"("classes":"linus",)", R"({"grid":{"keys:/budget":[8]}})",
         "/base/classes: 'linus' is neither a file nor shipped classes; did you mean 'linux'?");
  expect(classes, R"({"grid":{"keys:/budget":[8],"keys:/strategy":["optimal"],
      "classes:/classes/0/object":[1]}})",
         "did you mean 'objects'?");
  EXPECT_EQ(run("run --set keys:/budget=8 small.json"), 2);
  EXPECT_TRUE(says("protected classes are of kpksim keys, and of sweeps")) << message_;
}

TEST_F(Sweep, KernelDataIsASettingOfTheMachine) {
  write("d.json", R"({"name":"d","base":{"workload":"small.json"},
    "space":[{"grid":{"machine:/kernel_data":["workload","1M"]}}]})");
  ASSERT_EQ(run("sweep -q d.json"), 0) << message_;
  const auto all = rows("d.sqlite");
  ASSERT_EQ(run("run -q --kernel-data=1M -f json small.json"), 0) << message_;
  EXPECT_EQ(json::parse(printed())["runs"][0]["total"], all[1]["totals"]);
  EXPECT_NE(all[0]["totals"], all[1]["totals"]);
}

TEST_F(Sweep, APointThatFailsIsARowWithItsError) {
  write("f.json",
        R"({"name":"f","base":{"workload":"small.json","policy":"kpkeys-poe+lazy,pba,block"},
    "space":[{"grid":{"policy:/allocator/reserve":[1,8],"core:/tlb/l2_sets":[256,2048]}}]})");
  ASSERT_EQ(run("sweep -q f.json"), 0) << message_;
  const auto all = rows("f.sqlite");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_TRUE(all[0].contains("error") && !all[0].contains("totals"));
  EXPECT_TRUE(all[1].contains("totals") && !all[1].contains("error"));
  EXPECT_NE(all[3]["error"].get<std::string>().find("outside its range"), std::string::npos);
  ASSERT_EQ(run("sweep status f.sqlite"), 0) << message_;
  EXPECT_NE(printed().find("4 of 4 points are done, 3 of them failed"), std::string::npos);
  EXPECT_NE(printed().find("'reserve': '1' is no number"), std::string::npos) << printed();
  // And a range may be left, if the sweep says so.
  json wider = json::parse(read(file("f.json")));
  wider["beyond_ranges"] = true;
  write("f.json", wider.dump());
  EXPECT_EQ(run("sweep -q f.json"), 2);
  EXPECT_TRUE(says("specification is another one")) << message_;
  ASSERT_EQ(run("sweep -q -o wider.sqlite f.json"), 0) << message_;
  EXPECT_TRUE(rows("wider.sqlite")[3].contains("totals"));
}

TEST_F(Sweep, AnotherWorkloadUnderTheSameNameIsNotMixedIn) {
  ASSERT_EQ(run("sweep -q s.json"), 0) << message_;
  std::string other = kSmallWorkload;
  other.replace(other.find("1M"), 2, "2M");
  write("small.json", other);
  EXPECT_EQ(run("sweep -q s.json"), 2);
  EXPECT_TRUE(says("'workload:small.json' is not what it was")) << message_;
}

TEST_F(Sweep, ADryRunRunsNothing) {
  ASSERT_EQ(run("sweep --dry-run s.json"), 0) << message_;
  EXPECT_NE(printed().find("s: 36 points"), std::string::npos) << printed();
  EXPECT_NE(printed().find("ms each"), std::string::npos) << printed();
  EXPECT_FALSE(std::filesystem::exists(file("s.sqlite")));
}

TEST_F(Sweep, WhatShipsIsInOrder) {
  int sweeps = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_path("sweeps"))) {
    if (entry.path().filename() == "schema.json") continue;
    ++sweeps;
    EXPECT_EQ(run("sweep --dry-run '" + entry.path().string() + "'"), 0) << message_;
    EXPECT_EQ(printed().find(entry.path().stem().string() + ": "), 0u) << printed();
    EXPECT_EQ(printed().find(" 0 points"), std::string::npos) << printed();
  }
  EXPECT_GE(sweeps, 2);
}

TEST_F(Sweep, TheBestAreThoseThatNothingIsBetterThan) {
  ASSERT_EQ(run("sweep -q s.json"), 0) << message_;
  ASSERT_EQ(run("sweep best --by cycles.total s.sqlite"), 0) << message_;
  std::istringstream lines(printed());
  std::string head, best;
  std::getline(lines, head);
  std::getline(lines, best);
  std::uint64_t least = ~0ull, point = 0;
  for (const json& row : rows("s.sqlite")) {
    if (row["totals"]["cycles"]["total"] >= least) continue;
    least = row["totals"]["cycles"]["total"];
    point = row["point"];
  }
  EXPECT_EQ(best.substr(0, best.find(' ')), std::to_string(point)) << best;
  // Under a condition, and with a second objective.
  ASSERT_EQ(run("sweep best --by cycles.total --keep policy=kpkeys-poe,per-page,pte s.sqlite"), 0);
  EXPECT_EQ(printed().find("none,buddy"), std::string::npos) << printed();
  EXPECT_NE(printed().find("per-page"), std::string::npos) << printed();
  EXPECT_EQ(run("sweep best --by cycles.total --keep 'cycles.total<=many' s.sqlite"), 2);
  EXPECT_TRUE(says("--keep cycles.total<=many: 'many' is no number")) << message_;
  EXPECT_EQ(run("sweep best --by cycles.total --keep 'policy<=3' s.sqlite"), 2);
  EXPECT_TRUE(says("--keep policy<=3: 'none,buddy,pte' is no number")) << message_;
  ASSERT_EQ(run("sweep best --by cycles.total --keep exposure.at_rest.kernel s.sqlite"), 0);
  EXPECT_NE(printed().find("pba,block"), std::string::npos) << printed();
  EXPECT_EQ(run("sweep best --by cycles.totl s.sqlite"), 2);
  EXPECT_TRUE(says("did you mean 'cycles.total'?")) << message_;
}

TEST_F(Sweep, ASignalEndsItAndTheSameCommandGoesOn) {
  const std::string one = whole();
  ASSERT_NE(shell("timeout -s TERM 0.05 \"$KPKSIM\" sweep -q -j1 s.json; true"), 1);
  ASSERT_EQ(run("sweep -q s.json"), 0) << message_;
  EXPECT_EQ(exported("s.sqlite"), one);
}

TEST_F(Sweep, AFullDiskLosesNothingThatIsKept) {
  if (shell("unshare -rm true") != 0) GTEST_SKIP() << "no mounts of one's own here";
  const std::string one = whole();
  // Room for a quarter of the points and a little more; then for all of them.
  ASSERT_EQ(shell("export KPKSIM; mkdir d; unshare -rm sh -c '"
                  "mount -t tmpfs -o size=16m none d && "
                  "\"$KPKSIM\" sweep -q --shard 1/4 -o d/s.sqlite s.json && "
                  "mount -o remount,size=$(($(du -k d/s.sqlite | cut -f1) + 24))k d && "
                  "\"$KPKSIM\" sweep -q -o d/s.sqlite s.json; echo $? >status; "
                  "\"$KPKSIM\" sweep status d/s.sqlite >kept && "
                  "mount -o remount,size=16m d && "
                  "\"$KPKSIM\" sweep -q -o d/s.sqlite s.json && cp d/s.sqlite s.sqlite'"),
            0)
      << message_;
  EXPECT_NE(read(file("kept")).find("9 of 36 points are done"), std::string::npos)
      << read(file("kept"));
  EXPECT_EQ(read(file("status")), "3\n") << message_;
  EXPECT_TRUE(says("full")) << message_;
  EXPECT_EQ(exported("s.sqlite"), one);
}

}  // namespace
}  // namespace kpksim::test
