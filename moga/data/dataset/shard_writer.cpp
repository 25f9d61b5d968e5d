// Writing latent shards. See shards.h; the format is described in shards.cpp.
#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "moga/data/dataset/shard_files.h"
#include "moga/data/dataset/shard_format.h"

namespace moga {

std::string shard_name(int64_t number) {
  const std::string digits = std::to_string(number);
  return "shard-" + std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits + ".safetensors";
}

std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::is_directory(folder)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("shard-") && entry.path().extension() == ".safetensors")
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

void check_sample(const std::vector<int64_t>& shape, c10::ScalarType dtype, const std::vector<int64_t>& shot_frames,
                  size_t captions, const std::string& where) {
  check(dtype == c10::kFloat || dtype == c10::kBFloat16, where, ": the latent is ", dtype_name(dtype),
        ", expected float32 or bfloat16");
  check(shape.size() == 4, where, ": the latent has ", shape.size(), " dimensions, expected 4: [z, F, Y', X']");
  check(captions == shot_frames.size(), where, ": captions for ", captions, " shots, shot_frames for ",
        shot_frames.size(), ", expected one of each per shot");
  for (const int64_t frames : shot_frames)
    check(frames >= 1 && frames <= shape[1], where, ": a shot has ", frames, " latent frames, expected 1 to the ",
          shape[1], " of the latent");
  const int64_t frames = std::accumulate(shot_frames.begin(), shot_frames.end(), int64_t{0});
  check(frames == shape[1], where, ": the shots have ", frames, " latent frames, the latent has ", shape[1]);
}

void check_shown(const ShownImages& shown, size_t shots, const std::string& where) {
  check(shown.first.size() == shots && shown.last.size() == shots, where, ": images of ", shown.first.size(), " and ",
        shown.last.size(), " shots, expected ", shots);
  for (size_t shot = 0; shot < shots; ++shot)
    check(shown.first[shot] || !shown.last[shot], where, ": shot ", shot + 1,
          " shows its last frame and not its first");
}

std::vector<int64_t> image_shape(ImageForm form, const ShownImages& shown, const std::vector<int64_t>& latent) {
  if (form == ImageForm::kNone || (form == ImageForm::kLatents && shown.count() == 0)) return {};
  std::vector<int64_t> shape = latent;
  if (form == ImageForm::kLatents) shape[1] = shown.count();
  return shape;
}

namespace {

// What all samples of a data set have in common.
struct Kind {
  bool text = false;
  ImageForm form = ImageForm::kNone;
  bool embeddings = false;
};

Kind kind_of(const Sample& sample) {
  return {!sample.text.empty(), sample.images.form, !sample.images.embeddings.empty()};
}

void check_writable_images(const Sample& sample, const std::string& where) {
  const SampleImages& images = sample.images;
  if (images.form == ImageForm::kNone) return;
  check_shown(images.shown, sample.captions.size(), where);
  const at::Tensor& stored = images.form == ImageForm::kCondition ? images.condition : images.latents;
  const std::vector<int64_t> found = stored.defined() ? stored.sizes().vec() : std::vector<int64_t>(),
                             expected = image_shape(images.form, images.shown, sample.latent.sizes().vec());
  check(found == expected, where, ": the latents of its images are ", at::IntArrayRef(found), ", expected ",
        at::IntArrayRef(expected));
  if (images.embeddings.empty()) return;
  check(images.embeddings.size() == sample.captions.size(), where, ": embeddings of images of ",
        images.embeddings.size(), " shots, expected ", sample.captions.size());
  for (size_t shot = 0; shot < images.embeddings.size(); ++shot)
    check(images.embeddings[shot].defined() == images.shown.first[shot], where, ": shot ", shot + 1,
          images.shown.first[shot] ? " has an image without embeddings" : " has embeddings and no image");
}

void check_writable_sample(const Sample& sample, bool first, const Kind& kind, const std::string& where) {
  check_sample(sample.latent.sizes().vec(), sample.latent.scalar_type(), sample.shot_frames, sample.captions.size(),
               where);
  check(sample.text.empty() || sample.text.size() == sample.captions.size(), where, ": text embeddings for ",
        sample.text.size(), " shots, expected ", sample.captions.size());
  const Kind own = kind_of(sample);
  check(first || kind.text == own.text, where, ": some samples have text embeddings, others have none");
  check(first || kind.form == own.form, where, ": images in form ", name_of(own.form), ", those before in form ",
        name_of(kind.form));
  check(first || kind.embeddings == own.embeddings, where,
        ": some samples have embeddings of images, others have none");
  check_writable_images(sample, where);
}

// A copy on the host with stored dtypes.
Sample on_host(const Sample& sample) {
  Sample copy = sample;
  copy.latent = sample.latent.detach().cpu();
  for (at::Tensor& text : copy.text) text = text.detach().to(at::kBFloat16).cpu();
  for (at::Tensor* latents : {&copy.images.condition, &copy.images.latents})
    if (latents->defined()) *latents = latents->detach().to(sample.latent.scalar_type()).cpu();
  for (at::Tensor& rows : copy.images.embeddings)
    if (rows.defined()) rows = rows.detach().to(at::kBFloat16).cpu();
  return copy;
}

nlohmann::json describe(const Sample& sample) {
  nlohmann::json description = {{"captions", sample.captions}, {"shot_frames", sample.shot_frames}};
  const SampleImages& images = sample.images;
  if (images.form != ImageForm::kNone)
    description["images"] = {{"form", name_of(images.form)},
                             {"first", images.shown.first},
                             {"last", images.shown.last},
                             {"embeddings", !images.embeddings.empty()}};
  return description;
}

void add_tensors(const Sample& sample, int64_t index, TensorMap& tensors) {
  tensors[tensor_name(index)] = sample.latent;
  for (size_t shot = 0; shot < sample.text.size(); ++shot) tensors[text_name(index, shot)] = sample.text[shot];
  const SampleImages& images = sample.images;
  if (images.condition.defined()) tensors[condition_name(index)] = images.condition;
  if (images.latents.defined()) tensors[given_name(index)] = images.latents;
  for (size_t shot = 0; shot < images.embeddings.size(); ++shot)
    if (images.embeddings[shot].defined()) tensors[embedding_name(index, shot)] = images.embeddings[shot];
}

}  // namespace

std::filesystem::path shard_path(const std::filesystem::path& folder, int64_t number) {
  return folder / shard_name(number);
}

void write_shard(const std::filesystem::path& path, const std::vector<Sample>& samples,
                 const std::map<std::string, std::string>& more) {
  TensorMap tensors;
  nlohmann::json descriptions = nlohmann::json::array();
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const std::string where = path.string() + ": " + tensor_name(index);
    check_writable_sample(samples[i], i == 0, kind_of(samples[0]), where);
    add_tensors(on_host(samples[i]), index, tensors);
    descriptions.push_back(describe(samples[i]));
  }
  std::map<std::string, std::string> metadata = more;
  metadata["samples"] = descriptions.dump();
  save_safetensors(path, tensors, metadata);
}

std::map<std::string, std::string> shard_metadata(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return {};
  return Safetensors(path).metadata();
}

void write_negative(const std::filesystem::path& folder, const NegativeText& negative) {
  save_safetensors(folder / kNegativeFile, {{"text", negative.text.detach().to(at::kBFloat16).cpu()}},
                   {{"prompt", negative.prompt}});
}

void finish_shards(const std::filesystem::path& folder, int64_t shards, int64_t samples) {
  const nlohmann::json content = {{"shards", shards}, {"samples", samples}};
  write_text(folder / kDatasetFile, content.dump() + "\n");
}

struct ShardWriter::State {
  std::filesystem::path folder;
  int64_t samples_a_shard = 1;
  int64_t shards = 0, total = 0;
  std::vector<Sample> samples;  // of the next shard
  Kind kind;

  void flush() {
    if (samples.empty()) return;
    total += static_cast<int64_t>(samples.size());
    write_shard(shard_path(folder, shards++), samples);
    samples.clear();
  }
};

ShardWriter::ShardWriter(const std::filesystem::path& folder, int64_t samples_a_shard) : state_(new State) {
  state_->folder = folder;
  state_->samples_a_shard = samples_a_shard;
  check(samples_a_shard >= 1, "shards: ", samples_a_shard, " samples a shard, expected at least 1");
  check(shard_paths(folder).empty(), folder.string(), ": already holds shards; choose another folder or remove them");
  make_folder(folder);
}

ShardWriter::~ShardWriter() = default;

void ShardWriter::add(const Sample& sample) {
  State& state = *state_;
  const auto index = static_cast<int64_t>(state.samples.size());
  const std::string where = shard_path(state.folder, state.shards).string() + ": " + tensor_name(index);
  check_writable_sample(sample, state.total == 0 && index == 0, state.kind, where);
  state.kind = kind_of(sample);
  state.samples.push_back(on_host(sample));
  if (static_cast<int64_t>(state.samples.size()) == state.samples_a_shard) state.flush();
}

void ShardWriter::set_negative(const NegativeText& negative) { write_negative(state_->folder, negative); }

void ShardWriter::finish() {
  state_->flush();
  finish_shards(state_->folder, state_->shards, state_->total);
}

}  // namespace moga
