// Starts Swagger UI. The content security policy forbids inline scripts.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // Keeps the document from being sent to a validator on the internet.
  validatorUrl: null,
});
