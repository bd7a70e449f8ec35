#pragma once
// Files that a test writes. Several tests run at once, each in a process of its own: a file with a
// plain name in the folder for temporary files is overwritten by another test while this one reads
// it.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace kpksim::test {

// A folder of this process alone, which goes when the process ends.
inline const std::filesystem::path& scratch_folder() {
  struct Folder {
    Folder() {
      std::string name = (std::filesystem::temp_directory_path() / "kpksim-test-XXXXXX").string();
      if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
      path = name;
      using std::filesystem::perms;  // a test runs as another user
      std::filesystem::permissions(path, perms::owner_all | perms::group_read | perms::group_exec |
                                             perms::others_read | perms::others_exec);
    }
    // A child that a test forks ends too, and leaves the folder to its parent.
    ~Folder() {
      std::error_code ignored;
      if (getpid() == owner) std::filesystem::remove_all(path, ignored);
    }
    const pid_t owner = getpid();
    std::filesystem::path path;
  };
  static const Folder folder;
  return folder.path;
}

inline std::string scratch_file(const std::string& name) {
  return (scratch_folder() / name).string();
}

}  // namespace kpksim::test
