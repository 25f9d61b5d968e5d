// See evaluate_films.h.
#include "moga/evaluate/evaluate_films.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/format.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/video/film.h"
#include "moga/evaluate/film_report.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

FilmView view_of(const FilmInfo& info, int64_t width, int64_t height, Scaler scaler) {
  return {.width = width, .height = height, .scaler = scaler, .deinterlace = info.interlaced};
}

// First pass: number of frames, damage and cuts. A transition is found in its middle.
void find_cuts(FilmResult& film, const FilmInfo& info, const CutConfig& config) {
  const auto detector = make_cut_detector(config);
  const auto reader = open_film(film.path, view_of(info, detector->width(), detector->height(), Scaler::kArea));
  while (reader->next()) {
    stop_if_interrupted();
    detector->add(reader->pixels().const_data_ptr<uint8_t>());
    ++film.frames;
  }
  check(film.frames > 0, film.path, ": no frame can be decoded");
  film.damaged = reader->damaged();
  film.truncated = reader->truncated();
  for (const Boundary& boundary : detector->finish())
    film.cuts_found.push_back((boundary.before + 1 + boundary.after) / 2);
}

void set_shots(FilmResult& film, const std::vector<int64_t>& cuts) {
  int64_t first = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const int64_t end = i < cuts.size() ? cuts[i] : film.frames;
    film.shots.push_back({.first_frame = first, .frames = end - first, .caption = {}});
    first = end;
  }
}

// The shots of a film: the expected ones as far as the film goes, otherwise those that were found.
void choose_shots(FilmResult& film, const ExpectedShots& expected) {
  if (!expected.cuts) {
    set_shots(film, film.cuts_found);
    film.shots_from = "found";
  } else {
    std::vector<int64_t> cuts;
    for (const int64_t cut : *expected.cuts) {
      check(cut > (cuts.empty() ? 0 : cuts.back()), expected.source, ": cut at frame ", cut,
            ", expected rising numbers from 1 on");
      if (cut < film.frames) cuts.push_back(cut);
    }
    if (cuts.size() < expected.cuts->size())
      film.notes.push_back(formatted("the film has %ld frames and ends in shot %zu of %zu", film.frames,
                                     cuts.size() + 1, expected.cuts->size() + 1));
    set_shots(film, cuts);
    film.shots_from = expected.source;
    film.cuts = score_film_cuts(*expected.cuts, film.cuts_found, film.frames);
  }
  const size_t captions = expected.captions.size(), shots = film.shots.size();
  if (captions == 0) {
    film.notes.push_back("no captions: text alignment not computed");
  } else if (captions == 1 || captions == shots || (expected.cuts && captions > shots)) {
    for (size_t i = 0; i < shots; ++i) film.shots[i].caption = expected.captions[captions == 1 ? 0 : i];
  } else {
    film.notes.push_back(formatted("%zu captions and %zu shots: text alignment not computed", captions, shots));
  }
}

// What the frames of a film add up to, model by model.
class FrameSums {
 public:
  FrameSums(FilmResult& film, FilmModels& models, const FilmsEvaluationConfig& config)
      : film_(film), models_(models), config_(config) {
    if (!film.shots[0].caption.empty() && !models.text.is_empty()) encode_captions();
  }

  // uint8 [Y, X, 3], in order.
  void add(const at::Tensor& pixels) {
    batch_.push_back(pixels.permute({2, 0, 1}));
    if (static_cast<int64_t>(batch_.size()) == config_.batch) flush();
  }
  void finish() {
    if (!batch_.empty()) flush();
    subjects_and_backgrounds();
    cross_shot_similarity();
    if (captions_.defined() && texts_.complete(static_cast<int64_t>(film_.shots.size()))) {
      const Alignment alignment = text_alignment(texts_.means(), captions_);
      film_.scores.text = alignment.value;
      film_.shuffled.text = alignment.shuffled;
      film_.one_frame.text = at::matmul(captions_, first_clip_).mean().item<double>();
    }
    if (frames_ > 0 && models_.aesthetic()) film_.scores.aesthetic = aesthetic_ / static_cast<double>(frames_);
  }

 private:
  void encode_captions() {
    std::vector<std::string> captions;
    for (const FilmShot& shot : film_.shots) captions.push_back(shot.caption);
    std::vector<int64_t> cut;
    captions_ = models_.text_features(captions, &cut);
    for (const int64_t shot : cut)
      film_.notes.push_back(formatted("the caption of shot %ld is longer than the %ld tokens that CLIP reads", shot + 1,
                                      models_.text->config().max_position_embeddings));
  }

  void flush() {
    stop_if_interrupted();
    const at::Tensor frames = at::stack(batch_);
    batch_.clear();
    const at::NoGradGuard no_grad;
    const auto count = frames.size(0);
    at::Tensor dino, clip;
    if (!models_.dino.is_empty()) dino = models_.dino_features(frames);
    if (!models_.clip.is_empty()) clip = models_.clip_features(frames);
    if (models_.aesthetic()) {
      const at::Tensor scores = models_.aesthetic_scores(models_.clip_large_features(frames)).to(at::kDouble);
      if (frames_ == 0) film_.one_frame.aesthetic = scores[0].item<double>();
      aesthetic_ += scores.sum().item<double>();
    }
    if (clip.defined() && frames_ == 0) first_clip_ = clip[0].clone();
    std::vector<int64_t> sampled, shots;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t shot = shot_of(frames_ + i);
      if (dino.defined()) subject_.add(dino[i], shot);
      if (clip.defined()) {
        background_.add(clip[i], shot);
        if (captions_.defined()) texts_.add(clip[i], shot);
      }
      const FilmShot& own = film_.shots[static_cast<size_t>(shot)];
      if (!is_sample(frames_ + i - own.first_frame, own.frames, config_.shot_samples)) continue;
      if (clip.defined()) clip_samples_.add(clip[i], shot);
      sampled.push_back(i);
      shots.push_back(shot);
    }
    if (!models_.dinov2.is_empty() && !sampled.empty()) {
      const at::Tensor features = models_.dinov2_features(frames.index({at::tensor(sampled, at::kLong)}));
      for (size_t i = 0; i < shots.size(); ++i) dino_samples_.add(features[static_cast<int64_t>(i)], shots[i]);
    }
    frames_ += count;
  }

  int64_t shot_of(int64_t frame) {
    while (shot_ + 1 < film_.shots.size() && frame >= film_.shots[shot_ + 1].first_frame) ++shot_;
    return static_cast<int64_t>(shot_);
  }

  void subjects_and_backgrounds() {
    film_.consistency_frames = std::max(subject_.frames(), background_.frames());
    film_.subject_sum = subject_.sum();
    film_.background_sum = background_.sum();
    film_.scores.subject = subject_.film();
    film_.scores.subject_in_shots = subject_.within_shots();
    film_.shuffled.subject = subject_.shuffled_shots();
    film_.scores.background = background_.film();
    film_.scores.background_in_shots = background_.within_shots();
    film_.shuffled.background = background_.shuffled_shots();
    // Copies of one frame are as consistent as can be.
    const auto full = [](const std::optional<double>& measured) {
      return measured ? std::optional<double>(1) : std::nullopt;
    };
    for (const auto member : {&FilmScores::subject, &FilmScores::subject_in_shots, &FilmScores::background,
                              &FilmScores::background_in_shots})
      film_.one_frame.*member = full(film_.scores.*member);
  }

  void cross_shot_similarity() {
    const auto shots = static_cast<int64_t>(film_.shots.size());
    const auto similarity = [&](const ShotMeans& samples, at::Tensor& means) -> std::optional<double> {
      if (!samples.complete(shots)) return std::nullopt;
      means = samples.means();
      return cross_shot(means);
    };
    film_.scores.cross_clip = similarity(clip_samples_, film_.clip_means);
    film_.scores.cross_dino = similarity(dino_samples_, film_.dino_means);
    for (const auto member : {&FilmScores::cross_clip, &FilmScores::cross_dino})
      if (film_.scores.*member) film_.one_frame.*member = 1;
  }

  FilmResult& film_;
  FilmModels& models_;
  const FilmsEvaluationConfig& config_;
  std::vector<at::Tensor> batch_;
  int64_t frames_ = 0;
  size_t shot_ = 0;
  Consistency subject_, background_;
  ShotMeans texts_, clip_samples_, dino_samples_;
  at::Tensor captions_, first_clip_;
  double aesthetic_ = 0;
};

std::vector<FilmToMeasure> films_of(const FilmsEvaluationConfig& config) {
  std::vector<FilmToMeasure> films;
  for (const std::string& input : config.films) {
    const std::string extension = fs::path(input).extension().string();
    const bool list = extension == ".json" || extension == ".jsonl" || extension == ".csv" || extension == ".toml";
    if (!fs::is_directory(input) && !list) {
      films.push_back({.path = input, .expected = {}});
      continue;
    }
    const SourceList sources = read_sources(input, SourceFormat::kAuto);
    for (const std::string& note : sources.notes) log_info(note);
    for (const Source& source : sources.sources)
      films.push_back({.path = source.path, .expected = shots_of_list(source, input)});
  }
  check(!films.empty(), "no film: the given folders hold none");
  return films;
}

// What --script, a list or the film itself says about a film, in this order.
ExpectedShots expected_of(const FilmToMeasure& film, const std::vector<Script>& scripts, size_t number,
                          const FilmsEvaluationConfig& config) {
  double fps = 0;
  if (!scripts.empty()) {
    const size_t which = scripts.size() == 1 ? 0 : number;
    fps = film_info(film.path).fps;
    return shots_of_script(scripts[which], fps, config.scripts[which]);
  }
  if (!film.expected.source.empty()) return film.expected;
  return shots_in_film(film.path, film_info(film.path).fps);
}

}  // namespace

void FilmsEvaluationConfig::validate() const {
  check(!films.empty(), "no film given");
  check(batch >= 1, "batch is ", batch, ", expected at least 1");
  check(shot_samples >= 1, "shot samples are ", shot_samples, ", expected at least 1");
  cut.validate();
}

FilmResult measure_film(const FilmToMeasure& film, FilmModels& models, const FilmsEvaluationConfig& config) {
  FilmResult result;
  result.path = film.path.string();
  const FilmInfo info = film_info(film.path);
  result.width = info.width;
  result.height = info.height;
  result.fps = info.fps;
  find_cuts(result, info, config.cut);
  choose_shots(result, film.expected);
  if (result.damaged > 0) result.notes.push_back(formatted("%ld damaged packets or frames left out", result.damaged));
  if (result.truncated) result.notes.push_back("the file ends before its index says");
  if (result.frames == 1) result.notes.push_back("a film of one frame has no consistency");
  if (!models.any()) return result;
  FrameSums sums(result, models, config);
  const auto reader = open_film(film.path, view_of(info, info.width, info.height, Scaler::kLanczos));
  Progress progress("evaluate " + film.path.filename().string(), result.frames, "frame");
  while (reader->next()) {
    stop_if_interrupted();
    sums.add(reader->pixels());
    progress.advance();
  }
  sums.finish();
  return result;
}

void update_means(FilmsEvaluation& evaluation) {
  double subject = 0, background = 0;
  int64_t frames = 0;
  std::array<std::vector<double>, kScoreColumns.size()> values;
  std::vector<double> cuts;
  for (const FilmResult& film : evaluation.films) {
    if (!film.problem.empty()) continue;
    subject += film.subject_sum;
    background += film.background_sum;
    frames += film.consistency_frames;
    for (size_t i = 0; i < kScoreColumns.size(); ++i)
      if (const auto& value = film.scores.*kScoreColumns[i].member) values[i].push_back(*value);
    if (film.cuts) cuts.push_back(film.cuts->accuracy);
  }
  const auto mean = [](const std::vector<double>& numbers) -> std::optional<double> {
    if (numbers.empty()) return std::nullopt;
    double sum = 0;
    for (const double number : numbers) sum += number;
    return sum / static_cast<double>(numbers.size());
  };
  for (size_t i = 0; i < kScoreColumns.size(); ++i) evaluation.all.*kScoreColumns[i].member = mean(values[i]);
  evaluation.cut_accuracy = mean(cuts);
  // VBench's means of these two are over the frames of all films.
  if (evaluation.all.subject) evaluation.all.subject = subject / static_cast<double>(frames);
  if (evaluation.all.background) evaluation.all.background = background / static_cast<double>(frames);
  const auto across = [&](at::Tensor FilmResult::*means) -> std::optional<double> {
    at::Tensor sum;
    double own = 0, pairs = 0, shots = 0;
    for (const FilmResult& film : evaluation.films) {
      if (!(film.*means).defined()) continue;
      const at::Tensor total = (film.*means).sum(0);
      own += total.square().sum().item<double>();
      const auto count = static_cast<double>((film.*means).size(0));
      pairs += shots * count;
      shots += count;
      sum = sum.defined() ? sum + total : total;
    }
    if (pairs == 0) return std::nullopt;
    return (sum.square().sum().item<double>() - own) / 2 / pairs;
  };
  evaluation.other_films.cross_clip = across(&FilmResult::clip_means);
  evaluation.other_films.cross_dino = across(&FilmResult::dino_means);
}

FilmsEvaluation evaluate_films(const FilmsEvaluationConfig& config) {
  config.validate();
  std::vector<FilmToMeasure> films = films_of(config);
  check(config.scripts.size() <= 1 || config.scripts.size() == films.size(), config.scripts.size(), " scripts and ",
        films.size(), " films: give one script for all films, or one per film");
  std::vector<Script> scripts;
  for (const std::string& script : config.scripts) scripts.push_back(load_script(script));
  if (!config.out.empty()) {
    make_folder(config.out);
    for (const char* name : {"films.json", "films.csv"}) check_writable(fs::path(config.out) / name);
  }
  FilmModels models = load_film_models(config.models, parse_device(config.device));
  for (const std::string& line : models.missing) log_info(line);

  FilmsEvaluation evaluation;
  evaluation.missing = models.missing;
  for (size_t i = 0; i < films.size(); ++i) {
    const std::string path = films[i].path.string();
    try {
      films[i].expected = expected_of(films[i], scripts, i, config);
      evaluation.films.push_back(measure_film(films[i], models, config));
      for (const std::string& note : evaluation.films.back().notes) log_info(path, ": ", note);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log_info("not measured: ", error.what());
      FilmResult failed;
      failed.path = path;
      failed.problem = error.what();
      evaluation.films.push_back(std::move(failed));
    }
    update_means(evaluation);
    if (!config.out.empty()) write_film_report(evaluation, config);
  }
  const bool any = std::ranges::any_of(evaluation.films, [](const FilmResult& film) { return film.problem.empty(); });
  check(any, films.size() == 1 ? evaluation.films[0].problem
                               : "none of the " + std::to_string(films.size()) +
                                     " films can be measured; the first: " + evaluation.films[0].problem);
  return evaluation;
}

}  // namespace moga
