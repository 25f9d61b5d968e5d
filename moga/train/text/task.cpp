// Captions → encoder → fact reader or word reader → cross-entropy, as a task of the training loop. See task.h.
#include "moga/train/text/task.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/checksum.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/data/films/prepared.h"
#include "moga/train/loop/out_of_memory.h"
#include "moga/train/loop/random_scope.h"

namespace moga {
namespace {

// Any shot, or, twice as often, one that introduces a person, because those captions mention the most facts.
size_t pick_shot(const Story& story, uint64_t key) {
  if (key % 3 == 0) return (key / 3) % story.shots.size();
  return static_cast<size_t>(story.first_shot(static_cast<int64_t>((key / 3) % story.persons.size())));
}

constexpr const char* kHiddenWords = "hidden words";  // the name of their accuracy

double lowest(const std::map<std::string, double>& accuracy) {
  double least = 1;
  for (const auto& [name, share] : accuracy) least = std::min(least, share);
  return least;
}

}  // namespace

void TextTrainConfig::validate() const {
  check(steps > 0 && batch > 0 && held_out > 0, "steps = ", steps, ", batch = ", batch, ", held_out = ", held_out,
        ": all must be positive");
  check(log_every > 0 && measure_every > 0, "log_every = ", log_every, ", measure_every = ", measure_every,
        ": both must be positive");
  check(checkpoint_every > 0 && keep_checkpoints > 0, "checkpoint_every = ", checkpoint_every,
        ", keep_checkpoints = ", keep_checkpoints, ": both must be positive");
  check(text_len > 0, "text_len = ", text_len, ", expected at least 1");
  check(!tokenizer.empty(), "tokenizer is empty, expected a sentencepiece model");
  check(model.d_model % model.num_heads == 0, "model.d_model = ", model.d_model,
        " is not a multiple of num_heads = ", model.num_heads);
}

TextTask::TextTask(const TextTrainConfig& config)
    : config_(config),
      device_(parse_device(config.device)),
      dtype_(compute_dtype(config.dtype, device_)),
      tokenizer_(config.tokenizer) {
  check(config.model.vocab_size >= tokenizer_.vocab_size(), "model.vocab_size = ", config.model.vocab_size,
        ", the tokenizer has ", tokenizer_.vocab_size(), " pieces");
  if (reads_films()) {
    const PreparedFilms films = read_prepared_films(config.data);
    captions_ = captions_of(films.samples);
    held_out_ = captions_of(films.held_out);
    check(!captions_.empty(), config.data, ": its samples have no captions");
    if (held_out_.empty()) {
      log_info(config.data, ": no caption is held out (encode.held_out), so captions that are trained on are measured");
      held_out_ = captions_;
    }
  }
  const RandomScope random(static_cast<uint64_t>(config.seed), "text weights");
  encoder_ = TextEncoder(config.model);
  encoder_->to(device_);
  parameters_ = named_parameters(*encoder_, "encoder.");
  const auto add_reader = [&](auto& reader) {
    reader->to(device_);
    for (auto& item : named_parameters(*reader, "reader.")) parameters_.push_back(std::move(item));
  };
  if (reads_films())
    add_reader(words_ = WordReader(config.model.d_model, config.model.vocab_size));
  else
    add_reader(facts_ = FactReader(config.model.d_model, config.model.num_heads, fact_kinds()));
  optimizer_.emplace(parameters_, config.optimizer);
}

std::string TextTask::summary() const {
  std::ostringstream text;
  text << "a text encoder of " << static_cast<double>(element_count(named_parameters(*encoder_))) / 1e6
       << " M parameters on " << device_name(device_);
  return text.str();
}

std::string TextTask::config_toml() const { return to_toml(config_); }

nlohmann::json TextTask::identity() const {
  std::filesystem::path tokenizer = config_.tokenizer;
  if (std::filesystem::is_directory(tokenizer)) tokenizer /= "spiece.model";
  nlohmann::json identity = {{"seed", config_.seed},
                             {"tokenizer", file_checksum(tokenizer)},
                             {"text_len", config_.text_len},
                             {"model", nlohmann::json::parse(to_json(config_.model))}};
  if (reads_films())
    identity["data"] = file_checksum(std::filesystem::path(config_.data) / "merge.jsonl");
  else
    identity["stories"] = nlohmann::json::parse(to_json(config_.stories));
  return identity;
}

TrainParts TextTask::parts() const { return {{"model", parameters_}, {"optimizer", optimizer_->state()}}; }

TextTask::Captions TextTask::draw(bool held_out, int64_t first, int64_t count) const {
  if (reads_films()) return draw_films(held_out, first, count);
  return draw_stories(held_out ? "held-out text stories" : "text stories", first, count);
}

TextTask::Captions TextTask::draw_stories(const std::string& purpose, int64_t first, int64_t count) const {
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

// Training captions in random order; held-out ones in the order of their films.
TextTask::Captions TextTask::draw_films(bool held_out, int64_t first, int64_t count) const {
  const auto seed = static_cast<uint64_t>(config_.seed);
  const std::vector<std::string>& from = held_out ? held_out_ : captions_;
  std::vector<std::string> texts;
  for (int64_t i = first; i < first + count; ++i) {
    const auto number = static_cast<uint64_t>(i);
    texts.push_back(from[(held_out ? number : random_key(seed, "text captions", number)) % from.size()]);
  }
  TokenBatch tokens = tokenizer_.encode_batch(texts, config_.text_len);
  tokens.ids = tokens.ids.narrow(1, 0, tokens.lengths.max().item<int64_t>());
  const at::Tensor whole = tokens.ids;
  const at::Tensor hidden = hide_words(
      tokens, random_stream(seed, held_out ? "held-out hidden words" : "hidden words", static_cast<uint64_t>(first)));
  return {{tokens.ids.to(device_), tokens.lengths.to(device_)},
          whole.masked_fill(hidden.logical_not(), kNotTold).to(device_)};
}

TextTask::Answers TextTask::answers(const Captions& captions) {
  const at::Tensor text = encoder_(captions.tokens.ids, captions.tokens.lengths, dtype_);
  if (facts_) return {facts_(text, captions.tokens.lengths).flatten(0, 1), captions.targets.flatten()};
  const at::Tensor asked = captions.targets.flatten().ne(kNotTold).nonzero().squeeze(1);
  return {words_(text.flatten(0, 1).index_select(0, asked)), captions.targets.flatten().index_select(0, asked)};
}

StepReport TextTask::step(const TrainPosition& position) {
  const Answers found = answers(draw(/*held_out=*/false, position.step * config_.batch, config_.batch));
  const at::Tensor loss = at::cross_entropy_loss(found.logits, found.targets, {}, at::Reduction::Mean, kNotTold);
  optimizer_->zero_grad();
  loss.backward();
  const double lr = learning_rate(config_.schedule, config_.lr, position.step, config_.steps);
  const AdamW::Step update = optimizer_->step(lr);
  return {.lr = lr,
          .values = {{"loss", loss.detach()}, {"gradient_norm", update.gradient_norm}},
          .skipped = update.skipped,
          .counts = {},
          .throughput = {{"captions", config_.batch}}};
}

std::string TextTask::note(const nlohmann::json& line) const {
  std::ostringstream text;
  text << std::fixed << std::setprecision(4) << "loss " << line.at("loss").get<double>();
  return text.str();
}

nlohmann::json TextTask::sample(const TrainPosition&, const std::filesystem::path&) {
  const at::NoGradGuard no_grad;
  const Answers found = answers(draw(/*held_out=*/true, 0, config_.held_out));
  const at::Tensor told = found.targets != kNotTold;
  const at::Tensor right = (found.logits.argmax(1) == found.targets) & told;
  accuracy_.clear();
  if (words_) {
    accuracy_[kHiddenWords] = (right.sum().to(at::kDouble) / told.sum().clamp_min(1)).item<double>();
    return {{"held_out", accuracy_}};
  }
  const auto by_kind = [&](const at::Tensor& x) { return x.view({config_.held_out, -1}).sum(0).to(at::kDouble); };
  const at::Tensor shares = (by_kind(right) / by_kind(told)).cpu();  // NaN where no caption tells this kind of fact
  for (size_t i = 0; i < fact_kinds().size(); ++i) {
    const double share = shares[static_cast<int64_t>(i)].item<double>();
    if (share == share) accuracy_[fact_kinds()[i].name] = share;
  }
  return {{"held_out", accuracy_}};
}

std::string TextTask::save_model(const TrainPosition&, const std::filesystem::path& folder) {
  write_folder_atomically(folder, Existing::kReplace, [&](const std::filesystem::path& temporary) {
    save_text_encoder(temporary, encoder_, at::kBFloat16, WeightLayout::kDiffusers);
  });
  std::ostringstream text;
  text << "text encoder in " << folder.string() << "; of " << config_.held_out << " held-out captions "
       << (words_ ? "hidden words are" : "the least accurate kind of fact is") << " read right in "
       << 100 * lowest(accuracy_) << " %";
  return text.str();
}

LoopConfig loop_config(const TextTrainConfig& config) { return loop_config_of(config, config.measure_every); }

TextTrainResult train_text(const TextTrainConfig& config, const std::string& resume) {
  config.validate();
  config.stories.validate();
  const LoopConfig loop = loop_config(config);
  const std::optional<Checkpoint> checkpoint = begin_run(config.out, resume);
  TextTrainResult result;
  result.end = explain_out_of_memory({loop.device, "", "a smaller batch"}, [&] {
    TextTask task(config);
    const TrainEnd end = Trainer(task, loop, checkpoint).run();
    result.accuracy = task.accuracy();
    return end;
  });
  return result;
}

}  // namespace moga
