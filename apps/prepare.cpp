// moga prepare stories, moga prepare tokenizer: make training data from the story world.
#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "apps/commands.h"
#include "apps/prepare_videos.h"
#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/train/video/prepare.h"

namespace moga {
namespace {

struct Options {
  std::string config, vae, out;
  std::vector<std::string> settings;
  std::optional<int64_t> count, first_seed;
  int64_t vocab = 1000;
  bool quiet = false;

  void add(CLI::App& command) {
    command.add_option("CONFIG", config, "config (TOML); flags override it");
    command.add_option("--count", count, "stories");
    command.add_option("--first-seed", first_seed, "seed of the first story; the following stories use the next seeds");
    command.add_option("--set", settings, "override a key of the config, e.g. story.frames=33")
        ->allow_extra_args(false);
    command.add_flag("--quiet", quiet, "print only results and errors");
  }

  // Flags override --set, which overrides the config file.
  PrepareConfig read() const {
    set_quiet(quiet);
    std::vector<std::string> all = settings;
    if (!vae.empty()) all.push_back("vae=" + vae);
    if (!out.empty()) all.push_back("out=" + out);
    if (count) all.push_back("count=" + std::to_string(*count));
    if (first_seed) all.push_back("first_seed=" + std::to_string(*first_seed));
    PrepareConfig result = config.empty() ? PrepareConfig() : load_toml<PrepareConfig>(config);
    apply_overrides(result, all);
    const int64_t last = std::numeric_limits<int64_t>::max() - std::max<int64_t>(result.count, 0);
    check(result.first_seed <= last, "first_seed is ", result.first_seed, ", expected 0 to ", last);
    return result;
  }
};

void add_prepare_stories(CLI::App& prepare) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = prepare.add_subcommand("stories", "Render stories and encode them into latent shards");
  options->add(*command);
  command->add_option("--vae", options->vae, "VAE folder");
  command->add_option("--out", options->out, "folder for the shards, empty or new");
  command->footer(R"(Example:
  moga prepare stories --vae models/demo/vae --count 4096 --out data/long
  moga prepare stories configs/stories_short.toml --count 100 --first-seed 900000 --out data/held_out)");
  command->callback([options] {
    const PrepareConfig config = options->read();
    if (prepare_stories(config) < config.count) throw Interrupted();
  });
}

void add_prepare_tokenizer(CLI::App& prepare) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = prepare.add_subcommand("tokenizer", "Train the sentencepiece model on captions of stories");
  options->add(*command);
  command->add_option("--out", options->out, "model file to write")->required();
  command->add_option("--vocab", options->vocab, "vocabulary size")->capture_default_str();
  command->footer("Example:\n  moga prepare tokenizer --count 4000 --vocab 1000 --out data/spiece.model");
  command->callback([options] {
    const PrepareConfig config = options->read();
    prepare_tokenizer(config.story, config.first_seed, config.count, options->vocab, config.out);
  });
}

}  // namespace

void add_prepare(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("prepare", "Make training data: latent shards of films or stories, or a tokenizer");
  command->require_subcommand(1);
  add_prepare_videos(*command);
  add_prepare_stories(*command);
  add_prepare_tokenizer(*command);
}

}  // namespace moga
