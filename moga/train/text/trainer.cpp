// The loop: captions of new stories, encode, read the facts, cross-entropy, AdamW. See text_trainer.h.
#include "moga/train/text/trainer.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/model/text/tokenizer.h"
#include "moga/train/text/fact_reader.h"
#include "moga/train/loop/optimizer.h"

namespace moga {
namespace {

struct Captions {
  TokenBatch tokens;  // on the device
  at::Tensor facts;   // int64 [B, facts]
};

// Any shot, or twice as often one that introduces a person: those captions are the ones that tell much.
size_t pick_shot(const Story& story, uint64_t key) {
  if (key % 3 == 0) return (key / 3) % story.shots.size();
  return static_cast<size_t>(story.first_shot(static_cast<int64_t>((key / 3) % story.persons.size())));
}

class TextTrainer {
 public:
  explicit TextTrainer(const TextTrainConfig& config)
      : config_(config),
        device_(parse_device(config.device)),
        dtype_(compute_dtype(config.dtype, device_)),
        tokenizer_(config.tokenizer),
        encoder_(make_encoder()),
        reader_(FactReader(config.model.d_model, config.model.num_heads, fact_kinds())),
        optimizer_(parameters(), config.optimizer) {}

  TextTrainResult run();

 private:
  TextEncoder make_encoder() const;
  NamedTensors parameters();
  Captions draw(const std::string& purpose, int64_t first, int64_t count) const;
  at::Tensor logits(const Captions& captions);
  void train_step(int64_t step);
  std::map<std::string, double> measure();

  TextTrainConfig config_;
  at::Device device_;
  at::ScalarType dtype_;
  Tokenizer tokenizer_;
  TextEncoder encoder_;
  FactReader reader_;
  AdamW optimizer_;
  at::Tensor loss_;
};

TextEncoder TextTrainer::make_encoder() const {
  check(config_.model.vocab_size >= tokenizer_.vocab_size(), "model.vocab_size = ", config_.model.vocab_size,
        ", the tokenizer has ", tokenizer_.vocab_size(), " pieces");
  at::manual_seed(random_key(static_cast<uint64_t>(config_.seed), "text weights"));
  return TextEncoder(config_.model);
}

NamedTensors TextTrainer::parameters() {
  encoder_->to(device_);
  reader_->to(device_);
  NamedTensors named = named_parameters(*encoder_, "encoder.");
  for (auto& item : named_parameters(*reader_, "reader.")) named.push_back(std::move(item));
  return named;
}

Captions TextTrainer::draw(const std::string& purpose, int64_t first, int64_t count) const {
  const auto seed = static_cast<uint64_t>(config_.seed);
  std::vector<std::string> texts;
  std::vector<int64_t> facts;
  for (int64_t i = first; i < first + count; ++i) {
    const Story story = plan_story(random_key(seed, purpose, static_cast<uint64_t>(i)), config_.stories);
    const size_t shot = pick_shot(story, random_key(seed, purpose + " shot", static_cast<uint64_t>(i)));
    texts.push_back(story.shots[shot].caption);
    for (const int64_t fact : told_facts(story, shot)) facts.push_back(fact);
  }
  const TokenBatch tokens = tokenizer_.encode_batch(texts, config_.text_len);
  const int64_t longest = tokens.lengths.max().item<int64_t>();  // on the host
  return {{tokens.ids.narrow(1, 0, longest).to(device_), tokens.lengths.to(device_)},
          at::tensor(facts, at::kLong).view({count, -1}).to(device_)};
}

at::Tensor TextTrainer::logits(const Captions& captions) {
  return reader_(encoder_(captions.tokens.ids, captions.tokens.lengths, dtype_), captions.tokens.lengths);
}

void TextTrainer::train_step(int64_t step) {
  const Captions captions = draw("text stories", step * config_.batch, config_.batch);
  const at::Tensor loss =
      at::cross_entropy_loss(logits(captions).flatten(0, 1), captions.facts.flatten(), {}, at::Reduction::Mean, kNotTold);
  optimizer_.zero_grad();
  loss.backward();
  optimizer_.step(learning_rate(config_.schedule, config_.lr, step, config_.steps));
  loss_ = loss.detach();
}

std::map<std::string, double> TextTrainer::measure() {
  const at::NoGradGuard no_grad;
  const Captions captions = draw("held-out text stories", 0, config_.held_out);
  const at::Tensor told = captions.facts != kNotTold;
  const at::Tensor right = ((logits(captions).argmax(2) == captions.facts) & told).sum(0).to(at::kDouble);
  const at::Tensor shares = (right / told.sum(0)).cpu();  // NaN where none of the captions tells
  std::map<std::string, double> accuracy;
  for (size_t i = 0; i < fact_kinds().size(); ++i) {
    const double share = shares[static_cast<int64_t>(i)].item<double>();
    if (share == share) accuracy[fact_kinds()[i].name] = share;
  }
  return accuracy;
}

double lowest(const std::map<std::string, double>& accuracy) {
  double least = 1;
  for (const auto& [name, share] : accuracy) least = std::min(least, share);
  return least;
}

TextTrainResult TextTrainer::run() {
  const std::filesystem::path out = config_.out;
  write_text(out / "config.toml", to_toml(config_));
  JsonLog log(out / "log.jsonl");
  log_info("train a text encoder of ", element_count(named_parameters(*encoder_)) / 1e6, " M parameters on ",
           device_name(device_), ", run ", out.string());
  Progress progress("train text", config_.steps, "step");
  std::string note;
  for (int64_t step = 0; step < config_.steps; ++step) {
    train_step(step);
    if ((step + 1) % config_.log_every == 0) {
      log.write({{"step", step + 1}, {"loss", loss_.item<double>()}});
      std::ostringstream text;
      text << std::fixed << std::setprecision(4) << "loss " << loss_.item<double>();
      note = text.str();
    }
    if ((step + 1) % config_.measure_every == 0) log.write({{"step", step + 1}, {"held_out", measure()}});
    progress.advance(1, note);
    if (interrupted()) {
      log_info("interrupted after step ", step + 1, ": nothing is kept");
      return {TrainEnd::interrupted, {}};
    }
  }
  const TextTrainResult result = {TrainEnd::done, measure()};
  log.write({{"step", config_.steps}, {"held_out", result.accuracy}});
  save_text_encoder(out / "model", encoder_, at::kBFloat16);
  log_info("done: text encoder in ", (out / "model").string(), "; of ", config_.held_out,
           " held-out captions the worst kind of fact is read right in ", 100 * lowest(result.accuracy), " %");
  return result;
}

}  // namespace

void TextTrainConfig::validate() const {
  check(steps > 0 && batch > 0 && held_out > 0, "steps = ", steps, ", batch = ", batch, ", held_out = ", held_out,
        ": all must be positive");
  check(log_every > 0 && measure_every > 0, "log_every = ", log_every, ", measure_every = ", measure_every,
        ": both must be positive");
  check(text_len > 0, "text_len = ", text_len, ", expected at least 1");
  check(!tokenizer.empty(), "tokenizer is empty, expected a sentencepiece model");
  check(model.d_model % model.num_heads == 0, "model.d_model = ", model.d_model, " is not a multiple of num_heads = ",
        model.num_heads);
}

TextTrainResult train_text(const TextTrainConfig& config) {
  config.validate();
  config.stories.validate();
  return TextTrainer(config).run();
}

}  // namespace moga
