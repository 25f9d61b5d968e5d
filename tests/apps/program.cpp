// See program.h.
#include "tests/apps/program.h"

#include <ATen/ATen.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "moga/core/files.h"
#include "moga/data/dataset/shards.h"
#include "tests/support/tiny_model.h"

namespace moga::test {

Result moga(const std::string& arguments, const std::string& before) {
  Result result{0, ""};
  FILE* pipe = popen((before + " '" MOGA_PROGRAM "' " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe)) result.text.append(buffer.data(), size);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

void expect_error(const std::string& arguments, const std::string& expected) {
  const Result result = moga(arguments);
  EXPECT_EQ(result.status, 1) << result.text;
  EXPECT_NE(result.text.find(expected), std::string::npos) << result.text;
  EXPECT_EQ(result.text.find("moga: "), 0u) << result.text;
  EXPECT_EQ(std::count(result.text.begin(), result.text.end(), '\n'), 1) << result.text;
}

std::string tiny_training(const std::string& tokenizer, const std::string& shards) {
  ShardWriter writer(shards, 1);
  writer.add({at::zeros({4, 3, 8, 12}), {3}, {"Mara waves."}});
  writer.finish();
  return "tokenizer = \"" + tokenizer + R"("
device = "cpu"
[transformer]
num_attention_heads = 2
attention_head_dim = 12
in_channels = 4
out_channels = 4
text_dim = 16
freq_dim = 16
ffn_dim = 32
num_layers = 2
text_len = 8
[text_encoder]
vocab_size = 64
d_model = 16
d_kv = 8
d_ff = 32
num_layers = 1
num_heads = 2
[[stage]]
name = "short"
batch = 2
data = ")" +
         shards + "\"\n";
}

Folder* Program::folder_ = nullptr;

void Program::SetUpTestSuite() {
  folder_ = new Folder;
  write_tiny_model(*folder_ / "model");
  write_text(*folder_ / "film.toml",
             "title = \"T\"\nsize = [48, 32]\n[[shot]]\ncaption = \"Mara waves.\"\nframes = 9\n"
             "[[shot]]\ncaption = \"Mara walks.\"\nduration = 0.5\n");
}

}  // namespace moga::test
