// What is there keeps its place when a file is written, and nothing else is touched.

#include "sim/base/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/scratch.h"

namespace kpksim {
namespace {

namespace fs = std::filesystem;

class OutputFile : public testing::Test {
 protected:
  OutputFile()
      : folder_(test::scratch_folder() /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~OutputFile() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }
  std::string get(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }
  struct stat status(const std::string& name) const {
    struct stat s {};
    EXPECT_EQ(lstat(path(name).c_str(), &s), 0) << name;
    return s;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  std::string error_of(const std::string& name) const {
    try {
      write_file(path(name), "text");
    } catch (const OutputError& e) {
      return e.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(OutputFile, ANewFileHasTheModeThatTheMaskLeaves) {
  const mode_t before = umask(027);
  write_file(path("a"), "text");
  umask(before);
  EXPECT_EQ(get("a"), "text");
  EXPECT_EQ(status("a").st_mode & 07777, 0640u);
  EXPECT_EQ(files(), 1u) << "and nothing is left beside it";
}

TEST_F(OutputFile, ARegularFileIsReplacedAndKeepsModeAndAttributes) {
  put("a", "old text, longer than the new one");
  ASSERT_EQ(chmod(path("a").c_str(), 0604), 0);
  const bool attributes = setxattr(path("a").c_str(), "user.kept", "yes", 3, 0) == 0;
  const ino_t before = status("a").st_ino;
  const int reader = open(path("a").c_str(), O_RDONLY);
  write_file(path("a"), "new");
  char old[4] = {};
  EXPECT_EQ(::read(reader, old, 3), 3);
  close(reader);
  EXPECT_EQ(std::string(old), "old") << "whoever reads it sees one text";
  EXPECT_NE(status("a").st_ino, before);
  EXPECT_EQ(get("a"), "new");
  EXPECT_EQ(status("a").st_mode & 07777, 0604u);
  char value[4] = {};
  if (attributes) {
    EXPECT_EQ(getxattr(path("a").c_str(), "user.kept", value, 3), 3);
  }
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFile, TheOwnerStays) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  put("a", "old");
  ASSERT_EQ(chown(path("a").c_str(), 1234, 2345), 0);
  write_file(path("a"), "new");
  EXPECT_EQ(status("a").st_uid, 1234u);
  EXPECT_EQ(status("a").st_gid, 2345u);
  EXPECT_EQ(get("a"), "new");
}

TEST_F(OutputFile, AUsersTemporaryFileIsNotOurs) {
  put("a.json.tmp", "a user's");
  write_file(path("a.json"), "text");
  EXPECT_EQ(get("a.json.tmp"), "a user's");
}

TEST_F(OutputFile, ASymbolicLinkStaysAndItsTargetIsTheFile) {
  fs::create_directories(folder_ / "far");
  put("far/target", "old");
  fs::create_symlink("far/target", path("link"));
  fs::create_symlink("link", path("link to link"));
  write_file(path("link to link"), "new");
  EXPECT_TRUE(S_ISLNK(status("link to link").st_mode));
  EXPECT_TRUE(S_ISLNK(status("link").st_mode));
  EXPECT_EQ(get("far/target"), "new");
}

TEST_F(OutputFile, ALinkToNothingMakesItsTarget) {
  fs::create_symlink("target", path("link"));
  write_file(path("link"), "new");
  EXPECT_TRUE(S_ISLNK(status("link").st_mode));
  EXPECT_EQ(get("target"), "new");
  fs::create_symlink("turn", path("about"));
  fs::create_symlink("about", path("turn"));
  EXPECT_NE(error_of("turn").find("symbolic links"), std::string::npos) << error_of("turn");
}

TEST_F(OutputFile, AFileOfSeveralNamesKeepsThem) {
  put("a", "old");
  fs::create_hard_link(path("a"), path("b"));
  write_file(path("a"), "a longer text");
  EXPECT_EQ(get("b"), "a longer text");
  write_file(path("b"), "short");
  EXPECT_EQ(get("a"), "short");
  EXPECT_EQ(files(), 2u);
}

TEST_F(OutputFile, AFifoIsWrittenThrough) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  std::string seen;
  std::thread reader([&] { seen = get("fifo"); });
  write_file(path("fifo"), "through");
  reader.join();
  EXPECT_EQ(seen, "through");
  EXPECT_TRUE(S_ISFIFO(status("fifo").st_mode));
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFile, ADeviceIsWrittenThroughAndSaysWhenItIsFull) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  struct stat before {
  }, after{};
  ASSERT_EQ(stat("/dev/full", &before), 0);
  try {
    write_file("/dev/full", "text");
    FAIL() << "it fitted";
  } catch (const OutputError& e) {
    EXPECT_STREQ(e.what(), "/dev/full: cannot be written: No space left on device");
  }
  ASSERT_EQ(stat("/dev/full", &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_TRUE(S_ISCHR(after.st_mode));
  write_file("/dev/null", "text");
}

TEST_F(OutputFile, AFolderASocketAndAFolderThatIsNotThereAreRefused) {
  fs::create_directories(folder_ / "folder");
  EXPECT_NE(error_of("folder").find("Is a directory"), std::string::npos);
  EXPECT_NE(error_of("no/such").find("No such file"), std::string::npos);
  EXPECT_NE(error_of(std::string(300, 'x')).find("too long"), std::string::npos);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const fs::path here = fs::current_path();
  fs::current_path(folder_);  // a socket's path is short
  std::string("socket").copy(name.sun_path, sizeof name.sun_path - 1);
  const int socket_file = socket(AF_UNIX, SOCK_STREAM, 0);
  const int bound = bind(socket_file, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  fs::current_path(here);
  close(socket_file);
  ASSERT_EQ(bound, 0);
  EXPECT_NE(error_of("socket").find("cannot be written"), std::string::npos);
  EXPECT_TRUE(S_ISSOCK(status("socket").st_mode));
}

// Root acts as somebody else while it lives; others stay who they are.
class AsAnotherUser {
 public:
  AsAnotherUser() {
    if (was_ == 0) {
      EXPECT_EQ(seteuid(65534), 0);
    }
  }
  ~AsAnotherUser() {
    if (was_ == 0) {
      EXPECT_EQ(seteuid(0), 0);
    }
  }

 private:
  uid_t was_ = geteuid();
};

TEST_F(OutputFile, WhatMayNotBeWrittenIsRefusedBeforeTheWorkToo) {
  EXPECT_THROW(check_writable(path("no/such")), OutputError);
  EXPECT_THROW(check_writable(folder_.string()), OutputError);
  check_writable(path("new"));
}

TEST_F(OutputFile, WhatAnotherUserMayNotWriteIsRefused) {
  put("kept", "old");
  ASSERT_EQ(chmod(path("kept").c_str(), 0444), 0);
  const AsAnotherUser user;  // root may write everything
  EXPECT_THROW(check_writable(path("kept")), OutputError);
  EXPECT_NE(error_of("kept").find("Permission denied"), std::string::npos);
  EXPECT_EQ(get("kept"), "old");
}

TEST_F(OutputFile, AFileThatTheProcessWritesAlreadyIsWrittenThere) {
  const int log = open(path("log").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_TRUE(write_all(log, "before "));
  write_file(path("log"), "result ");
  ASSERT_TRUE(write_all(log, "after"));
  close(log);
  EXPECT_EQ(get("log"), "before result after");
}

TEST_F(OutputFile, TwoWritersOfOneFileDoNotMeet) {
  const std::vector<std::string> texts = {std::string(300'000, 'a'), std::string(200'000, 'b')};
  std::vector<std::thread> writers;
  for (const std::string& text : texts) {
    writers.emplace_back([&] {
      for (int i = 0; i < 20; ++i) write_file(path("a"), text);
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string last = get("a");
  EXPECT_TRUE(last == texts[0] || last == texts[1]) << last.size();
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFile, AStreamedFileIsThereWhenItIsWhole) {
  put("a", "old");
  const std::size_t before = files();
  const std::string line(1000, 'x');
  {
    StreamedFile file(path("a"));
    for (int i = 0; i < 1000; ++i) file.write(line);
    file.write(std::string(200'000, 'y'));
    EXPECT_EQ(get("a"), "old");
    EXPECT_EQ(files(), before);
    file.commit();
  }
  EXPECT_EQ(get("a").size(), 1'200'000u);
  EXPECT_EQ(get("a").substr(0, 1000), line);
  EXPECT_EQ(get("a").back(), 'y');
  EXPECT_EQ(files(), before);
}

TEST_F(OutputFile, AStreamedFileThatIsGivenUpLeavesNothing) {
  {
    StreamedFile file(path("a"));
    file.write("text");
  }
  EXPECT_EQ(files(), 0u);
  EXPECT_THROW(StreamedFile(path("none/a")), OutputError);
  StreamedFile full("/dev/full");
  full.write("text");
  EXPECT_THROW(full.commit(), OutputError);
}

}  // namespace
}  // namespace kpksim
