// See run_watch.h.
#include "moga/train/loop/run_watch.h"

#include <algorithm>
#include <sstream>

namespace moga {
namespace {

constexpr size_t kMemory = 10, kLeast = 5;  // lines
constexpr double kJump = 1.5, kExplosion = 10, kVanishing = 1e-3;
constexpr double kStarving = 0.05, kOverfitting = 1.05;
constexpr size_t kMostListed = 8;

double median(const std::deque<double>& values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return sorted[sorted.size() / 2];
}

void remember(std::deque<double>& values, double value) {
  values.push_back(value);
  if (values.size() > kMemory) values.pop_front();
}

std::string percent(double fraction) {
  std::ostringstream text;
  text.precision(2);
  text << 100 * fraction << " %";
  return text.str();
}

std::string short_text(double number) {
  std::ostringstream text;
  text.precision(3);
  text << number;
  return text.str();
}

// The first of many.
std::string joined(const std::vector<std::string>& items) {
  std::string text;
  const size_t listed = std::min(items.size(), kMostListed);
  for (size_t i = 0; i < listed; ++i) text += (i == 0 ? "" : "; ") + items[i];
  return listed == items.size() ? text : text + "; and " + std::to_string(items.size() - listed) + " more";
}

// "layer 3", "layers 3, 5 and 12 more".
std::string layers_text(const std::vector<int64_t>& layers) {
  std::string text = layers.size() == 1 ? "layer " : "layers ";
  const size_t listed = std::min(layers.size(), kMostListed);
  for (size_t i = 0; i < listed; ++i) text += (i == 0 ? "" : ", ") + std::to_string(layers[i]);
  return listed == layers.size() ? text : text + " and " + std::to_string(layers.size() - listed) + " more";
}

// What begins in a line: of the whole gradient and its parts, and in which layers.
struct NormNews {
  std::vector<std::string> parts;
  std::vector<int64_t> layers;
  std::string example;  // of the first layer

  bool any() const { return !parts.empty() || !layers.empty(); }
  std::string place() const { return layers.empty() ? "" : " in " + layers_text(layers); }
  std::string numbers() const { return parts.empty() ? example : joined(parts); }
};

}  // namespace

bool RunWatch::Alarm::changes(bool now) {
  const bool changed = now != on;
  on = now;
  return changed;
}

std::vector<std::string> RunWatch::read(const nlohmann::json& line) {
  std::vector<std::string> news;
  if (const auto groups = line.find("groups"); groups != line.end()) read_groups(*groups, news);
  if (const auto loss = line.find("loss"); loss != line.end() && loss->is_number()) {
    read_loss(line, news);
    read_norms(line, news);
  }
  if (const auto loss = line.find("held_out_loss"); loss != line.end() && loss->is_number())
    read_held_out(loss->get<double>(), news);
  return news;
}

void RunWatch::read_groups(const nlohmann::json& layers, std::vector<std::string>& news) {
  std::vector<int64_t> begun, over, hungry;
  std::string example, hungry_example;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    const auto fractions = layers[i].get<std::vector<double>>();
    if (fractions.size() < 2) continue;
    const double even = 1 / static_cast<double>(fractions.size());
    const auto largest = std::ranges::max_element(fractions);
    const bool collapsed = *largest > (1 + even) / 2;
    if (collapsed && collapsed_.insert(layer).second) {
      begun.push_back(layer);
      if (example.empty())
        example = "group " + std::to_string(largest - fractions.begin()) + " of layer " + std::to_string(layer) +
                  " has " + percent(*largest) + " of the tokens, evenly it would have " + percent(even);
    }
    if (!collapsed && collapsed_.erase(layer) > 0) over.push_back(layer);
    if (collapsed) continue;  // its other groups starve
    for (size_t g = 0; g < fractions.size(); ++g) {
      const std::pair key{layer, static_cast<int64_t>(g)};
      if (fractions[g] >= kStarving * even) starving_.erase(key);
      if (fractions[g] >= kStarving * even || !starving_.insert(key).second) continue;
      if (hungry.empty() || hungry.back() != layer) hungry.push_back(layer);
      if (hungry_example.empty())
        hungry_example = "group " + std::to_string(g) + " of layer " + std::to_string(layer) + " has " +
                         percent(fractions[g]) + " of the tokens, evenly it would have " + percent(even);
    }
  }
  if (!begun.empty()) news.push_back("routing has collapsed in " + layers_text(begun) + ": " + example);
  if (!over.empty()) news.push_back("routing is no longer collapsed in " + layers_text(over));
  if (!hungry.empty()) news.push_back("groups starve in " + layers_text(hungry) + ": " + hungry_example);
}

void RunWatch::read_loss(const nlohmann::json& line, std::vector<std::string>& news) {
  const auto loss = line.at("loss").get<double>();
  if (losses_.size() >= kLeast) {
    const double usual = median(losses_);
    if (jump_.changes(loss > kJump * usual))
      news.push_back((jump_.on ? "the loss jumps to " : "the loss is down again at ") + short_text(loss) +
                     ", median before " + short_text(usual) + (jump_.on ? steepest_layer(line) : ""));
  }
  if (!jump_.on) remember(losses_, loss);
}

// "; the gradient grew most in layer 3, to 2.5 times its median": called before the line's norms are read.
std::string RunWatch::steepest_layer(const nlohmann::json& line) const {
  const auto norms = line.find("gradient_norm_layers");
  if (norms == line.end()) return "";
  int64_t steepest = -1;
  double most = 1;
  for (const auto& [layer, before] : layers_) {
    const auto index = static_cast<size_t>(layer);
    if (before.last.size() < kLeast || index >= norms->size() || !(*norms)[index].is_number()) continue;
    const double usual = median(before.last), times = (*norms)[index].get<double>() / usual;
    if (usual > 0 && times > most) most = times, steepest = layer;
  }
  if (steepest < 0) return "";
  return "; the gradient grew most in layer " + std::to_string(steepest) + ", to " + short_text(most) +
         " times its median";
}

void RunWatch::Norms::read(double norm) {
  if (last.size() >= kLeast) {
    const double usual = median(last);
    explosion.begins = explosion.changes(usual > 0 && norm > kExplosion * usual) && explosion.on;
    vanishing.begins = vanishing.changes(norm < kVanishing * usual) && vanishing.on;
    before = usual;
  }
  if (!explosion.on && !vanishing.on) remember(last, norm);
}

void RunWatch::read_norms(const nlohmann::json& line, std::vector<std::string>& news) {
  const auto number = [](const nlohmann::json& norm) { return norm.is_number() ? norm.get<double>() : 0.0; };
  NormNews exploding, vanishing;
  const auto read = [&](Norms& norms, double norm, const std::string& part, int64_t layer) {
    norms.read(norm);
    for (const auto& [alarm, found] :
         {std::pair{&norms.explosion, &exploding}, std::pair{&norms.vanishing, &vanishing}}) {
      if (!alarm->begins) continue;
      const std::string text = short_text(norm) + ", median before " + short_text(norms.before);
      if (layer < 0) found->parts.push_back((part.empty() ? "" : part + " ") + text);
      if (layer >= 0 && found->layers.empty()) found->example = text;
      if (layer >= 0) found->layers.push_back(layer);
    }
  };
  read(norms_[""], number(line.value("gradient_norm", nlohmann::json(0.0))), "", -1);
  if (const auto parts = line.find("gradient_norms"); parts != line.end())
    for (const auto& [part, norm] : parts->items()) read(norms_[part], number(norm), part, -1);
  if (const auto layers = line.find("gradient_norm_layers"); layers != line.end())
    for (size_t i = 0; i < layers->size(); ++i) {
      const auto layer = static_cast<int64_t>(i);
      read(layers_[layer], number((*layers)[i]), "", layer);
    }
  if (exploding.any()) news.push_back("the gradient norm grows" + exploding.place() + " to " + exploding.numbers());
  if (vanishing.any())
    news.push_back("gradients vanish" + vanishing.place() + ": their norm is " + vanishing.numbers());
}

void RunWatch::read_held_out(double loss, std::vector<std::string>& news) {
  if (lowest_ && overfitting_.changes(loss > kOverfitting * *lowest_))
    news.push_back("the held-out loss " + std::string(overfitting_.on ? "rises to " : "is down again at ") +
                   short_text(loss) + ", its lowest was " + short_text(*lowest_));
  lowest_ = std::min(loss, lowest_.value_or(loss));
}

}  // namespace moga
