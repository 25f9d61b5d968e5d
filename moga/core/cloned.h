// Cloned<Base>: an object of a class derived from Base that is copied with its holder, as a value is. A config struct
// can hold a config of any model family this way. Base has `std::unique_ptr<Base> clone() const`.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

namespace moga {

template <class Base>
class Cloned {
 public:
  Cloned() = default;  // empty
  Cloned(std::unique_ptr<Base> object) : object_(std::move(object)) {}
  template <class Derived>
  requires std::derived_from<Derived, Base> Cloned(const Derived& object) : object_(object.clone()) {}
  Cloned(const Cloned& other) : object_(other.object_ ? other.object_->clone() : nullptr) {}
  Cloned(Cloned&&) noexcept = default;
  Cloned& operator=(Cloned other) noexcept {
    object_ = std::move(other.object_);
    return *this;
  }

  explicit operator bool() const { return object_ != nullptr; }
  Base& operator*() { return *object_; }
  const Base& operator*() const { return *object_; }
  Base* operator->() { return object_.get(); }
  const Base* operator->() const { return object_.get(); }

 private:
  std::unique_ptr<Base> object_;
};

}  // namespace moga
