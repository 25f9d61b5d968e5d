// Shell completion and manual pages: what bash itself completes, and what troff reads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "moga/core/files.h"
#include "tests/apps/program.h"

namespace moga {
namespace {

using test::Folder;
using test::moga;

// The words that bash offers for the last of `words`, one per line.
std::string completed(const Folder& folder, const std::string& words) {
  write_text(folder / "moga.bash", moga("completion bash").text);
  write_text(folder / "run.bash",
             "source " + (folder / "moga.bash").string() + "\nCOMP_WORDS=(" + words +
                 ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_moga\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
  const std::string command = "bash " + (folder / "run.bash").string() + " > " + (folder / "out").string();
  EXPECT_EQ(std::system(command.c_str()), 0);
  return read_text(folder / "out");
}

TEST(Completion, BashOffersCommandsAndTheirOptions) {
  const Folder folder;
  EXPECT_EQ(completed(folder, "moga gen"), "generate\n");
  EXPECT_EQ(completed(folder, "moga generate film.toml --save"), "--save-latents\n");
  EXPECT_EQ(completed(folder, "moga bench at"), "attention\n");
  EXPECT_NE(completed(folder, "moga bench attention --").find("--backend"), std::string::npos);
  EXPECT_EQ(completed(folder, "moga bench attention --save").find("--save-latents"), std::string::npos);
}

TEST(Completion, ZshAndFishHaveEveryCommand) {
  const std::string zsh = moga("completion zsh").text, fish = moga("completion fish").text;
  EXPECT_TRUE(zsh.starts_with("#compdef moga\n"));
  EXPECT_NE(zsh.find("'--save-latents:safetensors file"), std::string::npos);
  EXPECT_NE(fish.find("-f -a attention -d"), std::string::npos);
  EXPECT_NE(fish.find(" -l save-latents -r -d"), std::string::npos);
  test::expect_error("completion tcsh", "shell 'tcsh' is not one of bash, zsh, fish");
}

TEST(Manual, EachCommandHasAPageWithItsOptions) {
  const Folder folder;
  EXPECT_EQ(moga("manual --out " + (folder / "man").string()).status, 0);
  const std::string page = read_text(folder / "man/moga-bench-attention.1");
  EXPECT_TRUE(page.starts_with(".TH moga-bench-attention 1"));
  EXPECT_NE(page.find(".SH OPTIONS\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\n"), std::string::npos) << page;
  EXPECT_NE(read_text(folder / "man/moga.1").find("moga\\-generate\\fR(1)"), std::string::npos);
}

}  // namespace
}  // namespace moga
