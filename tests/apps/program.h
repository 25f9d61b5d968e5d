// The program `moga` run on real files, and a folder with a tiny model and a film of two shots for it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/folder.h"

namespace moga::test {

struct Result {
  int status;        // -1: ended by a signal
  std::string text;  // stdout and stderr
};

// `before`: a command that runs the program and is put before its name, such as "timeout 5".
Result moga(const std::string& arguments, const std::string& before = "");

// Exit status 1 and one line that contains `expected`.
void expect_error(const std::string& arguments, const std::string& expected);

// The config of a training run of one stage on one shard of one video, which it writes to the folder `shards`.
std::string tiny_training(const std::string& tokenizer, const std::string& shards);

class Program : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return (*folder_ / name).string(); }
  static std::string generate(const std::string& options) {
    return "generate " + at("film.toml") + " --model " + at("model") + " " + options;
  }

 private:
  static Folder* folder_;
};

}  // namespace moga::test
