# What operators have been given to type, to the letter. The tests run these blocks as they stand.

# 1. Desplegar VPC
aws cloudformation create-stack \
  --stack-name anb-production-vpc \
  --template-body file://01-vpc-networking.yaml \
  --parameters ParameterKey=EnvironmentName,ParameterValue=anb-production

# 2. Desplegar S3 y IAM
aws cloudformation create-stack \
  --stack-name anb-production-s3 \
  --template-body file://02-s3-iam.yaml \
  --parameters ParameterKey=EnvironmentName,ParameterValue=anb-production

# 3. Desplegar SQS
aws cloudformation create-stack \
  --stack-name anb-production-sqs \
  --template-body file://03.5-sqs-queue.yaml \
  --parameters ParameterKey=EnvironmentName,ParameterValue=anb-production

# 4. Desplegar RDS
aws cloudformation create-stack \
  --stack-name anb-production-rds \
  --template-body file://04-rds-database.yaml \
  --parameters \
    ParameterKey=EnvironmentName,ParameterValue=anb-production \
    ParameterKey=DBPassword,ParameterValue=YOUR_PASSWORD

# 5. Desplegar API con ALB
aws cloudformation create-stack \
  --stack-name anb-production-api \
  --template-body file://05-alb-autoscaling.yaml \
  --parameters \
    ParameterKey=EnvironmentName,ParameterValue=anb-production \
    ParameterKey=JWTSecret,ParameterValue=YOUR_JWT_SECRET \
    ParameterKey=DBPassword,ParameterValue=YOUR_PASSWORD

# 6. Desplegar Workers con Autoscaling
aws cloudformation create-stack \
  --stack-name anb-production-workers \
  --template-body file://06-workers-autoscaling.yaml \
  --parameters \
    ParameterKey=EnvironmentName,ParameterValue=anb-production \
    ParameterKey=DBPassword,ParameterValue=YOUR_PASSWORD

# 7. Dashboard
aws cloudwatch put-dashboard \
  --dashboard-name anb-production-monitoring \
  --dashboard-body file://cloudwatch-dashboard.json
